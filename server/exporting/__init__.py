"""Transcripts as files that people open: csv, docx and pdf. Text and subtitles: ``protocol.subtitles``."""

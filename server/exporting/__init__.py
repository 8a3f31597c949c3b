"""Transcripts as files that people open: tables (csv), Word (docx) and PDF. Text and subtitles: ``protocol.subtitles``."""

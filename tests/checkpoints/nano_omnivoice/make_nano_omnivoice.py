"""An OmniVoice of random weights: ``python -m tests.checkpoints.nano_omnivoice.make_nano_omnivoice DIRECTORY``.

To be run in a process of its own: the package is imported, with a stand-in for torchaudio.
"""

import sys
from importlib import import_module
from pathlib import Path

SPECIAL = ["denoise", "lang_start", "lang_end", "instruct_start", "instruct_end", "text_start", "text_end"]


def make(directory: Path) -> Path:
    """Write a checkpoint as OmniVoice's are, a thousandth of their size. It is always the same one."""
    from engines.tts import torchaudio_stand_in

    torchaudio_stand_in.install()
    import torch
    from transformers import Qwen3Config

    package = import_module("omnivoice")
    directory.mkdir(parents=True, exist_ok=True)
    words = _write_tokenizer(directory)
    torch.manual_seed(30)
    llm = Qwen3Config(
        vocab_size=max(words, 1025),  # codes of sound are looked up among the words too, and then left out
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
    )
    model = package.OmniVoice(package.OmniVoiceConfig(llm_config=llm.to_dict()))
    with torch.no_grad():  # so far from nothing that what is heard depends on what is said
        for weights in model.parameters():
            if weights.dim() > 1:
                weights.normal_(0.0, 0.4)
    model.save_pretrained(directory)
    _write_audio_tokenizer(directory / "audio_tokenizer")
    return directory


def _write_tokenizer(directory: Path) -> int:
    """Bytes, and the marks of OmniVoice's own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([f"<|{mark}|>" for mark in ("endoftext", *SPECIAL)])
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<|endoftext|>").save_pretrained(directory)
    return int(tokenizer.get_vocab_size())


def _write_audio_tokenizer(directory: Path) -> None:
    import torch
    from transformers import (
        DacConfig,
        DacFeatureExtractor,
        HiggsAudioV2TokenizerConfig,
        HiggsAudioV2TokenizerModel,
        HubertConfig,
    )

    dac = DacConfig(
        encoder_hidden_size=4,
        decoder_hidden_size=32,
        downsampling_ratios=[8, 5, 4, 2, 3],
        sampling_rate=24_000,
    )
    hubert = HubertConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        conv_dim=[16] * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=2,
        mask_time_prob=0.0,
    )
    config = HiggsAudioV2TokenizerConfig(
        acoustic_model_config=dac.to_dict(),
        semantic_model_config=hubert.to_dict(),
        target_bandwidths=[0.5, 1, 1.5, 2],
        codebook_dim=16,
    )
    model = HiggsAudioV2TokenizerModel(config).eval()
    with torch.no_grad():  # as loud as speech, and never constant
        sound = model.decode(torch.randint(0, 1024, (1, config.num_quantizers, 50))).audio_values
        last = [module for module in model.acoustic_decoder.modules() if isinstance(module, torch.nn.Conv1d)][-1]
        last.weight.mul_(0.1 / sound.std())
    model.save_pretrained(directory)
    DacFeatureExtractor(sampling_rate=24_000, hop_length=config.hop_length).save_pretrained(directory)


if __name__ == "__main__":
    make(Path(sys.argv[1]))

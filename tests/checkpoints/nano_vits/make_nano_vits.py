"""A VITS checkpoint of random weights: ``python -m tests.checkpoints.nano_vits.make_nano_vits DIRECTORY``."""

import json
import sys
from pathlib import Path

ENGLISH = "abcdefghijklmnopqrstuvwxyz' -"
VIETNAMESE = "aáàảãạăắằẳẵặâấầẩẫậbcdđeéèẻẽẹêếềểễệghiíìỉĩịklmnoóòỏõọôốồổỗộơớờởỡợpqrstuúùủũụưứừửữựvxyýỳỷỹỵ "


def make(
    directory: Path, language: str = "eng", letters: str = ENGLISH, *, roman: bool = False, speakers: int = 1
) -> Path:
    """Write a checkpoint as MMS-TTS's are, a thousandth of their size. The same arguments give the same files."""
    import torch
    from transformers import VitsConfig, VitsModel

    directory.mkdir(parents=True, exist_ok=True)
    vocabulary = {letter: number for number, letter in enumerate(["_", *letters, "<unk>"])}
    torch.manual_seed(20)
    model = VitsModel(
        VitsConfig(
            vocab_size=len(vocabulary),
            hidden_size=16,
            num_hidden_layers=1,
            ffn_dim=32,
            flow_size=16,
            spectrogram_bins=17,
            num_speakers=speakers,
            speaker_embedding_size=8 if speakers > 1 else 0,
            upsample_initial_channel=32,
            resblock_kernel_sizes=(3, 7),
            resblock_dilation_sizes=((1, 3), (1, 3)),
            duration_predictor_filter_channels=16,
            duration_predictor_num_flows=2,
            prior_encoder_num_flows=2,
            prior_encoder_num_wavenet_layers=2,
            posterior_encoder_num_wavenet_layers=1,
        )
    )
    model.eval()
    with torch.no_grad():
        for parameter in model.duration_predictor.parameters():
            parameter.mul_(0.5)
        model.duration_predictor.flows[0].translate.fill_(-0.8)  # symbols last some frames, as in a real voice
        last = model.decoder.conv_post
        last.weight.sub_(last.weight.mean(dim=2, keepdim=True))  # a sound, and no constant
        heard: list[torch.Tensor] = []
        listening = last.register_forward_hook(lambda module, given, made: heard.append(made))
        model(torch.arange(1, 20).unsqueeze(0))
        listening.remove()
        last.weight.mul_(0.2 / heard[0].std())  # neither silent nor clipped
    model.save_pretrained(directory)
    (directory / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), encoding="utf-8")
    tokenizer = {"add_blank": True, "is_uroman": roman, "language": language, "normalize": True, "phonemize": False}
    (directory / "tokenizer_config.json").write_text(json.dumps(tokenizer), encoding="utf-8")
    return directory


if __name__ == "__main__":
    make(Path(sys.argv[1]))

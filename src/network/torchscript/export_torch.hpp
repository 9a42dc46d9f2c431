#pragma once

#include "hdap/network/normalisation.hpp"
#include "hdap/network/weights.hpp"

#include <cstddef>
#include <optional>
#include <vector>

namespace hdap::network {

/// What torchscript_bytes returns.
std::vector<std::byte> written_archive(const Network& network, const Weights& weights,
                                       const std::optional<Normalisation>& normalisation);

} // namespace hdap::network

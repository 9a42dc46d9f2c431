#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/network/pruned_network.hpp"

/// Identities of inputs by their content: where a file lies, and in which format, changes nothing.
namespace hdap::study {

void add_weights(core::Sha256& hash, const network::Weights& weights);
void add_network(core::Sha256& hash, const network::PrunedNetwork& network);
void add_images(core::Sha256& hash, const accuracy::ImageData& images);

} // namespace hdap::study

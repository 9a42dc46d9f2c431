#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "hdap/core/hash.hpp"
#include "hdap/network/pruned_network.hpp"

/// Identities of inputs by their content: where a file lies, and in which format, changes nothing.
namespace hdap::study {

void add_weights(core::Sha256& hash, const network::Weights& weights);
void add_network(core::Sha256& hash, const network::PrunedNetwork& network);
/// `rest`: the images that follow, where a split lies in memory in two parts. Both together have
/// the hash of the whole.
void add_images(core::Sha256& hash, const accuracy::ImageData& images,
                const accuracy::ImageData* rest = nullptr);

} // namespace hdap::study

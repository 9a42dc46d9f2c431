#include "content_hash.hpp"

#include "hdap/network/network_file.hpp"

#include <span>

namespace hdap::study {

void add_weights(core::Sha256& hash, const network::Weights& weights) {
    for (const auto& [name, tensor] : weights) {
        hash.update(name);
        hash.update(std::as_bytes(std::span(tensor.values)));
    }
}

void add_network(core::Sha256& hash, const network::PrunedNetwork& network) {
    hash.update(network::network_as_json(network.network));
    add_weights(hash, network.weights);
}

void add_images(core::Sha256& hash, const accuracy::ImageData& images,
                const accuracy::ImageData* rest) {
    hash.update(std::as_bytes(std::span(images.pixels)));
    if (rest != nullptr) hash.update(std::as_bytes(std::span(rest->pixels)));
    hash.update(std::as_bytes(std::span(images.labels)));
    if (rest != nullptr) hash.update(std::as_bytes(std::span(rest->labels)));
    hash.update(std::as_bytes(std::span(images.mean)));
    hash.update(std::as_bytes(std::span(images.deviation)));
    if (images.order != network::ChannelOrder::rgb) // others' hashes are older than the order
        hash.update(network::channel_order_name(images.order));
}

} // namespace hdap::study

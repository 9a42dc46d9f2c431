#pragma once

#include "hdap/accuracy/image_data.hpp"
#include "network/reference_forward.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

namespace hdap::accuracy::testing {

using network::testing::FeatureMap;

/// Image `index`, normalised, [channels][height][width].
inline FeatureMap reference_image(const ImageData& images, std::int64_t index) {
    FeatureMap map;
    const std::int64_t plane = images.height * images.width;
    for (std::int64_t c = 0; c < images.channels; ++c)
        for (std::int64_t p = 0; p < plane; ++p) {
            const auto at = static_cast<std::size_t>((index * images.channels + c) * plane + p);
            const auto channel = static_cast<std::size_t>(c);
            map.push_back((images.pixels[at] / 255.0 - images.mean[channel]) /
                          images.deviation[channel]);
        }
    return map;
}

struct ChannelStatistics {
    std::vector<double> mean;
    std::vector<double> biased_variance;
    double count = 0.0; ///< values per channel
};

/// What a network makes of a batch when its batch norms use the batch's own statistics.
struct ReferenceBatch {
    std::vector<FeatureMap> logits;                      ///< per image
    std::map<std::string, ChannelStatistics> statistics; ///< by the batch norm's name
};

inline ChannelStatistics channel_statistics(const std::vector<FeatureMap>& maps,
                                            std::int64_t channels) {
    const std::size_t size = maps.front().size() / static_cast<std::size_t>(channels);
    ChannelStatistics result;
    result.count = static_cast<double>(size * maps.size());
    for (std::size_t c = 0; c < static_cast<std::size_t>(channels); ++c) {
        const auto average = [&](auto&& value) {
            double sum = 0.0;
            for (const FeatureMap& map : maps)
                for (std::size_t p = 0; p < size; ++p)
                    sum += value(map[c * size + p]);
            return sum / result.count;
        };
        const double mean = average([](double x) { return x; });
        result.mean.push_back(mean);
        result.biased_variance.push_back(
            average([&](double x) { return (x - mean) * (x - mean); }));
    }
    return result;
}

inline void normalise(const network::Node& node, const network::Weights& weights,
                      const ChannelStatistics& statistics, FeatureMap& map) {
    const std::vector<float>& weight = weights.at(node.name + ".weight").values;
    const std::vector<float>& bias = weights.at(node.name + ".bias").values;
    const std::size_t size = map.size() / statistics.mean.size();
    for (std::size_t i = 0; i < map.size(); ++i) {
        const std::size_t c = i / size;
        map[i] = (map[i] - statistics.mean[c]) /
                     std::sqrt(statistics.biased_variance[c] + node.epsilon) *
                     static_cast<double>(weight[c]) +
                 static_cast<double>(bias[c]);
    }
}

/// Runs images [first, first + count) node by node, in double precision and the plainest loops.
inline ReferenceBatch reference_batch(const network::Network& network,
                                      const network::Weights& weights, const ImageData& images,
                                      std::int64_t first, std::int64_t count) {
    const std::vector<network::TensorShape> shapes = network::infer_shapes(network);
    std::vector<std::vector<FeatureMap>> values(network.nodes.size());
    for (std::int64_t i = first; i < first + count; ++i)
        values[0].push_back(reference_image(images, i));
    ReferenceBatch result;
    for (std::size_t n = 1; n < network.nodes.size(); ++n) {
        const network::Node& node = network.nodes[n];
        if (node.op == network::Operator::batch_norm) {
            values[n] = values[node.inputs[0]];
            const ChannelStatistics statistics = channel_statistics(values[n], shapes[n].channels);
            for (FeatureMap& map : values[n])
                normalise(node, weights, statistics, map);
            result.statistics[node.name] = statistics;
            continue;
        }
        for (std::size_t i = 0; i < values[0].size(); ++i) {
            std::vector<FeatureMap> maps(n);
            for (const std::size_t input : node.inputs)
                maps[input] = values[input][i];
            values[n].push_back(
                network::testing::reference_node(network, weights, n, maps, shapes));
        }
    }
    result.logits = values.back();
    return result;
}

} // namespace hdap::accuracy::testing

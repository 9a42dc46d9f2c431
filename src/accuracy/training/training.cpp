#include "hdap/accuracy/training.hpp"

#include <algorithm>
#include <cstddef>

namespace hdap::accuracy {

std::int64_t shards_of(const TrainingParameters& parameters, std::int64_t images) {
    return std::max<std::int64_t>(1, std::min(parameters.batch, images) / parameters.shard);
}

void take_step(Training& training, int threads) {
    training.compute(0, training.shards(), threads);
    const std::span<float> total = training.total();
    const std::span<const float> parts = training.contributions();
    std::copy_n(parts.begin(), total.size(), total.begin());
    for (std::size_t first = total.size(); first < parts.size(); first += total.size())
        for (std::size_t i = 0; i < total.size(); ++i)
            total[i] += parts[first + i];
    training.apply();
}

network::Weights train(const network::PrunedNetwork& start, const ImageData& images,
                       const TrainingParameters& parameters,
                       const std::function<bool(const TrainingProgress&)>& observer,
                       const std::optional<network::PrunedNetwork>& teacher) {
    const auto training = make_training(start, images, parameters, teacher);
    while (training->progress().step < training->progress().steps) {
        take_step(*training, 1);
        if (observer && !observer(training->progress())) break;
    }
    return training->state().weights;
}

} // namespace hdap::accuracy

#pragma once

#include "hdap/study/presets.hpp"

#include <array>

namespace hdap::study {

inline constexpr std::string_view seen_in_public_code =
    "default seen in public code, perhaps not the paper's";

/// "Hardware-Aware DNN Compression for Homogeneous Edge Devices" (HDAP), arXiv 2501.15240.
inline constexpr auto paper_preset = std::to_array<PresetRow>({
    {"study.rounds", "10", "5 to 10 rounds, as public code has it"},
    {"clusters.method", R"("dbscan")", "DBSCAN finds the devices that respond alike"},
    {"clusters.weighting", R"("equal")",
     "public code averages clusters without weights; \"devices\" weighs them by devices"},
    {"clusters.metric", R"("level")", "devices are compared by their latencies, speed included"},
    {"clusters.blending", R"("never")", "a device is its own cluster's alone"},
    {"network.criterion", R"("l2")", "channels are ranked by L2 magnitude per pruning group"},
    {"profile.candidates", "5000", seen_in_public_code},
    {"profile.runs", "10", seen_in_public_code},
    {"surrogate.kind", R"("gbrt")", "one gradient-boosted regression forest per cluster"},
    {"surrogate.trees", "100", seen_in_public_code},
    {"surrogate.depth", "3", seen_in_public_code},
    {"surrogate.learning_rate", "0.1", seen_in_public_code},
    {"search.algorithm", R"("ncs")", "Negatively Correlated Search"},
    {"search.population", "10", seen_in_public_code},
    {"search.genes", R"("block")", "one pruning rate for each block, as public code has it"},
    {"search.max_step", "0.2", seen_in_public_code},
    {"search.generations", "100", seen_in_public_code},
    {"search.objectives", R"(["latency.mean"])", "the fleet's mean latency alone is minimised"},
    {"search.constraints", R"(["accuracy_drop.relative <= 0.1"])",
     "public code fines candidates below 0.9 of the unpruned accuracy"},
    {"search.ncs.sigma", "0.05", seen_in_public_code},
    {"search.ncs.r", "0.95", seen_in_public_code},
    {"search.ncs.epoch", "5", seen_in_public_code},
    {"finetune.candidates", "0", "rounds fine-tune what they choose, and nothing beside it"},
    {"finetune.learning_rate", "0.01", "SGD at a rate of 0.01"},
    {"finetune.schedule", R"("constant")", "plain SGD: no schedule is known of"},
    {"finetune.momentum", "0.9", "SGD with momentum 0.9"},
    {"finetune.nesterov", "false", "plain SGD: momentum is the classical one"},
    {"finetune.weight_decay", "1e-04", "SGD with weight decay 1e-4"},
    {"finetune.warmup", "0.0", "plain SGD: no warm-up is known of"},
});

} // namespace hdap::study

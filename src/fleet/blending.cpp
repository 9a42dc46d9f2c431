#include "blending.hpp"

#include <Eigen/Dense>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <utility>
#include <vector>

namespace hdap::fleet {
namespace {

constexpr int most_parts = 5; ///< clusters in a combination, the own one first
constexpr std::size_t most_blends = 128;
constexpr double steps = 8.0; ///< shares are rounded to one of so many

/// A device's latency as a combination of clusters'.
struct Combination {
    std::array<std::size_t, most_parts> cluster{};
    std::array<double, most_parts> weight{}; ///< of the clusters' latencies
    std::array<double, most_parts> share{};  ///< of the device's latency, on average
    std::size_t parts = 0;
};

using Small =
    Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, most_parts, most_parts>;
using SmallVector = Eigen::Matrix<double, Eigen::Dynamic, 1, Eigen::ColMajor, most_parts, 1>;

/// w ≥ 0 of the least ½ wᵀ·gram·w − towards·w: the active-set method of Lawson and Hanson, chapter
/// 23. `gram` is positive definite.
class ActiveSet {
  public:
    ActiveSet(const Small& gram, const SmallVector& towards)
        : gram_(gram), towards_(towards), weights_(SmallVector::Zero(towards.size())) {}

    SmallVector solve() {
        for (int step = 0; step < most_steps; ++step) {
            const SmallVector slope = towards_ - gram_ * weights_;
            Eigen::Index steepest = -1;
            for (Eigen::Index p = 0; p < slope.size(); ++p)
                if (!is_free_[at(p)] && slope(p) > flat * towards_(p) &&
                    (steepest < 0 || slope(p) > slope(steepest)))
                    steepest = p;
            if (steepest < 0) break;
            is_free_[at(steepest)] = true;
            descend();
        }
        return weights_;
    }

  private:
    static constexpr int most_steps = 30;
    static constexpr double flat = 1e-12;

    static std::size_t at(Eigen::Index p) { return static_cast<std::size_t>(p); }

    /// To the minimum over the free weights, or as far towards it as none of them is negative;
    /// those that become zero are free no more.
    void descend() {
        while (std::ranges::find(is_free_, true) != is_free_.end()) {
            const SmallVector minimum = free_minimum();
            double reach = 1.0;
            for (Eigen::Index p = 0; p < minimum.size(); ++p)
                if (is_free_[at(p)] && minimum(p) <= 0.0)
                    reach = std::min(reach, weights_(p) / (weights_(p) - minimum(p)));
            weights_ += reach * (minimum - weights_);
            if (reach == 1.0) return;
            for (Eigen::Index p = 0; p < minimum.size(); ++p)
                if (is_free_[at(p)] && minimum(p) <= 0.0 && weights_(p) <= flat) {
                    is_free_[at(p)] = false;
                    weights_(p) = 0.0;
                }
        }
    }

    [[nodiscard]] SmallVector free_minimum() const {
        std::vector<Eigen::Index> free;
        for (Eigen::Index p = 0; p < towards_.size(); ++p)
            if (is_free_[at(p)]) free.push_back(p);
        const Small gram = gram_(free, free);
        SmallVector minimum = SmallVector::Zero(towards_.size());
        const SmallVector solved = gram.ldlt().solve(SmallVector(towards_(free)));
        minimum(free) = solved;
        return minimum;
    }

    const Small& gram_;
    const SmallVector& towards_;
    SmallVector weights_;
    std::array<bool, most_parts> is_free_{};
};

/// The rounded shares of the clusters but the own one, by which combinations are alike.
using BlendKey = std::pair<std::size_t, std::map<std::size_t, int>>;

class BlendSolver {
  public:
    BlendSolver(const BlendTask& task, std::size_t clusters, double ridge)
        : task_(task), clusters_(clusters), ridge_(ridge) {}

    [[nodiscard]] Combination combination(std::size_t device) const {
        Combination made = parts_of(device);
        const auto parts = static_cast<Eigen::Index>(made.parts);
        Small gram = Small::Zero(parts, parts);
        SmallVector towards = SmallVector::Zero(parts);
        set_up(device, made, gram, towards);
        const SmallVector weights = ActiveSet(gram, towards).solve();
        std::copy_n(weights.data(), made.parts, made.weight.begin());
        double sum = 0.0;
        for (std::size_t p = 0; p < made.parts; ++p)
            sum += made.share[p] *= made.weight[p];
        for (std::size_t p = 0; p < made.parts; ++p)
            made.share[p] /= sum;
        return made;
    }

  private:
    /// The device's own cluster, and the others whose latencies are nearest to a multiple of its.
    [[nodiscard]] Combination parts_of(std::size_t device) const {
        const auto own = static_cast<std::size_t>(task_.assigned[device]);
        std::vector<std::pair<double, std::size_t>> others;
        for (std::size_t k = 0; k < clusters_; ++k)
            if (k != own) others.emplace_back(scatter(device, k), k);
        const std::size_t wanted = std::min<std::size_t>(most_parts - 1, others.size());
        std::partial_sort(others.begin(), others.begin() + static_cast<std::ptrdiff_t>(wanted),
                          others.end());
        Combination made;
        made.cluster[0] = own;
        made.parts = 1 + wanted;
        for (std::size_t p = 1; p < made.parts; ++p)
            made.cluster[p] = others[p - 1].second;
        return made;
    }

    /// How much of the device's latencies relative to the cluster's varies over the benchmarks.
    [[nodiscard]] double scatter(std::size_t device, std::size_t cluster) const {
        double sum = 0.0;
        double squares = 0.0;
        for (std::size_t b = 0; b < task_.benchmarks; ++b) {
            const double relative = relative_ms(device, cluster, b);
            sum += relative;
            squares += relative * relative;
        }
        const auto benchmarks = static_cast<double>(task_.benchmarks);
        return squares * benchmarks / (sum * sum);
    }

    [[nodiscard]] double relative_ms(std::size_t device, std::size_t cluster,
                                     std::size_t benchmark) const {
        return task_.reference_ms[cluster * task_.benchmarks + benchmark] /
               task_.latency_ms[device * task_.benchmarks + benchmark];
    }

    /// The normal equations; `share` becomes the clusters' mean relative latencies.
    void set_up(std::size_t device, Combination& made, Small& gram, SmallVector& towards) const {
        const auto benchmarks = static_cast<double>(task_.benchmarks);
        for (std::size_t b = 0; b < task_.benchmarks; ++b) {
            SmallVector row(gram.rows());
            for (std::size_t p = 0; p < made.parts; ++p)
                row(static_cast<Eigen::Index>(p)) = relative_ms(device, made.cluster[p], b);
            gram += row * row.transpose() / benchmarks;
            towards += row / benchmarks;
        }
        std::copy_n(towards.data(), made.parts, made.share.begin());
        const SmallVector pull = ridge_ * towards.cwiseProduct(towards);
        gram.diagonal() += pull;
        towards(0) += pull(0) * task_.ratio[device];
    }

    const BlendTask& task_;
    std::size_t clusters_;
    double ridge_;
};

BlendKey key_of(const Combination& combination) {
    BlendKey key{combination.cluster[0], {}};
    for (std::size_t p = 1; p < combination.parts; ++p)
        if (const int rounded = static_cast<int>(std::lround(combination.share[p] * steps));
            rounded > 0)
            key.second[combination.cluster[p]] = rounded;
    return key;
}

/// Devices of one key.
struct Alike {
    std::vector<std::size_t> devices;
    std::vector<double> sum; ///< [cluster] of their weights ÷ ratio
};

/// The combinations of the devices between clusters, by key.
std::map<BlendKey, Alike> alike_devices(const BlendTask& task, std::size_t clusters,
                                        const std::vector<Combination>& combinations) {
    std::map<BlendKey, Alike> alike;
    for (std::size_t i = 0; i < combinations.size(); ++i) {
        if (task.assigned[i] < 0) continue;
        BlendKey key = key_of(combinations[i]);
        if (key.second.empty()) continue;
        Alike& group = alike[std::move(key)];
        group.sum.resize(clusters, 0.0);
        group.devices.push_back(i);
        for (std::size_t p = 0; p < combinations[i].parts; ++p)
            group.sum[combinations[i].cluster[p]] += combinations[i].weight[p] / task.ratio[i];
    }
    return alike;
}

/// Those of most devices, the first keys of as many.
std::vector<const Alike*> most_common(const std::map<BlendKey, Alike>& alike) {
    std::vector<const Alike*> common;
    for (const auto& [key, group] : alike)
        common.push_back(&group);
    std::ranges::stable_sort(common, std::ranges::greater{},
                             [](const Alike* group) { return group->devices.size(); });
    common.resize(std::min(common.size(), most_blends));
    return common;
}

} // namespace

DeviceBlends unblended(const BlendTask& task, std::size_t clusters) {
    DeviceBlends made{.blend = {task.assigned.begin(), task.assigned.end()},
                      .blends = std::vector<double>(clusters * clusters, 0.0)};
    for (std::size_t k = 0; k < clusters; ++k)
        made.blends[k * clusters + k] = 1.0;
    return made;
}

DeviceBlends blended(const BlendTask& task, std::size_t clusters, double ridge) {
    DeviceBlends made = unblended(task, clusters);
    if (clusters < 2) return made;
    const BlendSolver solver(task, clusters, ridge);
    std::vector<Combination> combinations(task.assigned.size());
#pragma omp parallel for schedule(static)
    for (std::size_t i = 0; i < combinations.size(); ++i)
        if (task.assigned[i] >= 0) combinations[i] = solver.combination(i);
    const auto alike = alike_devices(task, clusters, combinations);
    for (const Alike* group : most_common(alike)) {
        const auto blend = static_cast<std::int32_t>(made.blends.size() / clusters);
        for (const double sum : group->sum)
            made.blends.push_back(sum / static_cast<double>(group->devices.size()));
        for (const std::size_t device : group->devices)
            made.blend[device] = blend;
    }
    return made;
}

} // namespace hdap::fleet

#pragma once

#include "hdap/core/statistics.hpp"
#include "hdap/fleet/distribution.hpp"
#include "hdap/fleet/profile.hpp"
#include "hdap/network/search_space.hpp"
#include "hdap/search/metrics.hpp"
#include "hdap/storage/hdf5.hpp"
#include "hdap/surrogate/surrogate.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hdap::search {

/// Candidates that a profile needs for its halves to be told from.
inline constexpr std::size_t fewest_for_regret = 20;

/// How much slower a fleet gets when a search sees less of it: relative, 0.01 is 1 %.
struct Regret {
    double mean = 0.0;
    core::Interval interval; ///< 95 %, over resamples of the profile
};

/// What a search may see of a fleet.
enum class ViewKind {
    one_device,
    largest_clusters, ///< some of them, the largest
    equal_weights,    ///< all of them, each as if it were as large as any other
    all_clusters,
};

/// "one_device", "largest_clusters", …
std::string_view name_of(ViewKind kind);

/// A fleet as a search sees it that measures only some of its clusters.
struct FleetView {
    ViewKind kind = ViewKind::all_clusters;
    std::size_t clusters = 0; ///< that are measured for it
    /// What the fleet looks like from there; several where chance decides who is measured.
    std::vector<fleet::FleetDistribution> draws;
    std::vector<double> chance; ///< [draw] sums to 1
};

/// The views of a fleet: one device, which is of a cluster by its weight; its largest cluster; the
/// two, three, … largest, of more than eight not every number; all of them with equal weights; all
/// of them. Devices of clusters that are
/// not measured are taken to respond as the largest that is, by how much slower they are on the
/// unpruned network. `unpruned_ms`: [cluster].
std::vector<FleetView> views_of(const fleet::FleetDistribution& fleet,
                                std::span<const double> unpruned_ms);

/// What a view is worth for one figure of the fleet.
struct ViewRegret {
    ViewKind kind = ViewKind::all_clusters;
    std::size_t clusters = 0; ///< that are measured for it, at least one
    Regret regret;
    Regret worst_draw; ///< of the draw that costs most
};

/// In words: "one device", "the largest cluster", "the 2 largest clusters", "equal weights", "all
/// clusters".
std::string text_of(ViewKind kind, std::size_t clusters);

/// What is regretted by one objective.
struct ObjectiveRegret {
    std::string objective; ///< "latency.mean"
    std::vector<ViewRegret> views;
};

/// What to compute regret from.
struct RegretTask {
    surrogate::PredictedNetwork network;
    const fleet::FleetDistribution& fleet;
    const fleet::Profile& profile;
    const surrogate::SurrogateParameters& surrogate;
    std::vector<Metric> objectives; ///< in ms, that follow from latencies
    std::uint64_t seed = 1;
    int threads = 1;
};

/// How much slower the fleet gets by networks that were chosen for a view of it, at equal quality.
///
/// Networks are chosen by the least log V + λ · Q, by coordinate descent over the genes, where V is
/// the figure as the view has it and Q their pruning_loss, a stand-in for accuracy, of which
/// nothing is known before a search. At λ = 1, 1.5 and 2.5 a network of uniform width would keep
/// 37, 51 and 67 % of its channels where latency goes with the square of the width. Regret at an
/// exchange rate λ is what the chosen one has more of log T + λ · Q than the best that any view
/// chose, T being the figure over the fleet.
///
/// Surrogates err, and a search finds where. So they are fitted to one half of the profile to
/// choose by and to the other half to judge by, and what a view regrets on its own terms, which is
/// error alone, is taken off. Five random halvings, both ways round, give the interval.
///
/// Deterministic. Throws DataError for a profile of fewer than 20 candidates. Complexity: 10 fits
/// of surrogates to half of the profile, and about 4 · genes · 24 predictions for each view,
/// objective, λ and fit.
std::vector<ObjectiveRegret> regrets_of(const RegretTask& task);

/// Writes them below "/regret", one data set per field, [objective][view] row by row.
void write_regrets(storage::Hdf5Writer& file, const std::vector<ObjectiveRegret>& regrets);
/// Reads what write_regrets wrote; nothing where it did not. Throws DataError for data sets that
/// are missing, empty, disagree or hold values out of range.
std::vector<ObjectiveRegret> read_regrets(const storage::Hdf5Reader& file);

/// Kendall's τ between the latencies that a profile has of its candidates on two clusters.
struct ClusterAgreement {
    double median = 1.0; ///< over pairs of clusters; 1 with one cluster
    double least = 1.0;
};
ClusterAgreement agreement_of_clusters(const fleet::Profile& profile);

} // namespace hdap::search

#pragma once

#include "fleet/groupings/grouping.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace hdap::fleet {

/// What groups are worth.
struct Judgement {
    FigureErrors errors;
    /// With which devices between clusters are told best from several (blending.hpp); 0: from one.
    double ridge = 0.0;
    std::vector<double> decisive = {}; ///< [held-out benchmark] what decisive_error is of it alone
};

/// Whether errors are larger than others, benchmark by benchmark, by more than a standard error.
bool is_worse(const std::vector<double>& errors, const std::vector<double>& others);

/// Part of a fleet, of which some benchmarks and devices are held out: groups that are made without
/// them are judged by what they then predict of them.
///
/// Of at most 2,000 devices, every other one is grouped, by all benchmarks but one; what the other
/// devices were measured at on that one is told from the groups' representatives, which were
/// measured there, as a candidate is told in a search. So with each of at most 16 benchmarks in
/// turn. Of fewer than 40 devices all are grouped and judged. Up to 25 representatives stand for a
/// group then: what is judged is the groups, not the noise of a few devices.
class GroupingJudge {
  public:
    explicit GroupingJudge(const GroupingTask& task);

    /// Nothing where a fleet has one benchmark, or none that a device that is judged was measured
    /// on. Complexity: that of `group` for 1,000 devices,
    /// times the benchmarks that are held out; parallel over these.
    [[nodiscard]] std::optional<Judgement> judge(GroupDevices group,
                                                 const ClusteringParameters& parameters) const;

    /// What one benchmark is held out of. Devices that are grouped come first.
    struct Fold {
        Fleet learned;                   ///< the devices that are grouped
        std::vector<double> complete_ms; ///< [device][benchmark]
        std::vector<double> signatures;  ///< [device][benchmark]
        std::vector<double> held_out_ms; ///< [device], with estimates
        /// [device] measured, spread over the steps of a timer; not a number where it was not.
        std::vector<double> truth_ms;
    };

  private:
    [[nodiscard]] Fold fold(const Fleet& sample, std::span<const double> complete_ms,
                            std::span<const double> truth_ms, std::size_t held_out) const;
    [[nodiscard]] bool is_judged(std::span<const double> truth_ms) const;
    [[nodiscard]] Grouping grouping_of(const Fold& fold, GroupDevices group,
                                       const ClusteringParameters& parameters) const;

    SignatureMetric metric_;
    std::size_t grouped_ = 0; ///< devices
    std::vector<Fold> folds_;
};

} // namespace hdap::fleet

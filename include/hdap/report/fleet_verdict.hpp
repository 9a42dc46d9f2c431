#pragma once

#include "hdap/search/regret.hpp"

#include <span>
#include <string>

namespace hdap::report {

/// A regret below this is not worth measuring more devices for.
inline constexpr double small_regret = 0.01;

/// Whether a fleet matters to those who search for networks for it.
enum class FleetMatters {
    no,      ///< a search for one device regrets less than small_regret, with 97.5 %
    unknown, ///< it may regret more, and may regret nothing
    yes,
};

struct FleetVerdict {
    FleetMatters matters = FleetMatters::no;
    std::string sentence; ///< with a number and its interval
    std::string advice;   ///< what to do, as a sentence
    /// The view that is enough: its regret is below small_regret for every objective, with 97.5 %.
    const search::ViewRegret* enough = nullptr;
};

/// What regrets say: at least one objective, all of the same views, of which the last sees all.
/// The result points into `regrets`.
FleetVerdict fleet_verdict(std::span<const search::ObjectiveRegret> regrets);

/// The settings of a study that sees as much of the fleet as `view`, as TOML.
std::string clusters_toml(const search::ViewRegret& view);

/// A table for a terminal: a line per view, a column per objective, in per cent.
std::string regret_table(std::span<const search::ObjectiveRegret> regrets);

} // namespace hdap::report

#pragma once

#include "fleet/anatomy/log_ratios.hpp"

#include <vector>

namespace hdap::fleet {

using Indices = std::vector<Eigen::Index>;

/// What describes a device.
struct Description {
    Eigen::Index rank = 0;
    bool one_ratio = false;
};

/// Devices of one fold that ran the same benchmarks.
struct Pattern {
    Indices measured;
    Indices devices;
};

/// The part of the devices that is held out, and what the others say.
struct Fold {
    std::vector<Pattern> patterns;
    Eigen::RowVectorXd mean;
    Eigen::VectorXd variances; ///< principal, ascending
    LogTable directions;       ///< [benchmark][component]
};

/// Five parts of the devices, or as many as there are devices, drawn at random; the same table
/// gives the same ones.
std::vector<Fold> folds_of(const LogTable& table);

/// Errors of predicting each latency from the others of its device; not a number where nothing was
/// measured.
struct HeldOut {
    LogTable error;
    LogTable own; ///< scaled to the variance of what only that latency has
};

/// With A the inverse covariance of what a device was measured on, x is off from what the others
/// predict by (A x)_b ÷ A_bb (Sundararajan and Keerthi, Neural Computation 13, 2001).
HeldOut held_out(const LogTable& table, const std::vector<Fold>& all_folds,
                 const Description& description);

} // namespace hdap::fleet

#include "hdap/core/text.hpp"
#include "hdap/fleet/anatomy.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::fleet {
namespace {

constexpr double negligible_difference = 1e-4;

const char* name_of(FleetFigure figure) {
    switch (figure) {
    case FleetFigure::mean:
        return "mean";
    case FleetFigure::p95:
        return "p95";
    case FleetFigure::worst_percent:
        return "slowest hundredth";
    case FleetFigure::worst_group:
        break;
    }
    return "slowest group";
}

const RegretBound& worst_of(const std::vector<RegretBound>& figures) {
    return *std::max_element(figures.begin(), figures.end(), [](const auto& a, const auto& b) {
        return a.one_device_p95.value < b.one_device_p95.value;
    });
}

/// "Devices differ by 6.1 % in overall speed and 0.3 % in shape"
std::string differences(const FleetAnatomy& anatomy) {
    return fmt::format("Devices differ by {} in overall speed and {} in shape",
                       percent_text(std::sqrt(anatomy.split.all.speed)),
                       percent_text(std::sqrt(anatomy.split.all.shape)));
}

/// Where nobody repeated a measurement, what that leaves open.
std::string open_question(const FleetAnatomy& anatomy) {
    if (anatomy.noise_is_in_shape())
        return " What of that is noise is not known: repeated measurements would tell.";
    double raw = 0.0;
    for (const RegretBound& bound : anatomy.regret.figures)
        raw = std::max(raw, bound.one_device_raw);
    if (anatomy.noise_known || raw < negligible_regret) return {};
    return fmt::format(" Were that not noise but specific to single benchmarks, a search on one "
                       "device could cost up to {}; repeated measurements would tell.",
                       percent_text(raw));
}

std::string noise_text(const FleetAnatomy& anatomy) {
    const std::string sd = percent_text(std::sqrt(anatomy.split.all.noise));
    return anatomy.noise_known ? sd : sd + ", if it is noise";
}

/// Why one device stands for all.
std::string reason(const FleetAnatomy& anatomy) {
    const VarianceParts& parts = anatomy.split.all;
    if (std::sqrt(std::max(parts.shape, parts.noise)) < negligible_difference) return {};
    if (parts.shape <= parts.noise)
        return fmt::format(", which is within noise ({})", noise_text(anatomy));
    return fmt::format(", but a search on one device makes no figure of the fleet more than {} "
                       "slower",
                       percent_text(worst_of(anatomy.regret.figures).one_device_p95));
}

std::string one_stands_for_all(const FleetAnatomy& anatomy) {
    return fmt::format("{}{}: one device stands for all, scaled by each device's own ratio.{}",
                       differences(anatomy), reason(anatomy), open_question(anatomy));
}

std::string fleet_matters(const FleetAnatomy& anatomy) {
    const RegretBound& mean = anatomy.regret.figures.front();
    const RegretBound& worst = worst_of(anatomy.regret.figures);
    std::string any = percent_text(mean.one_device_p95);
    std::string central = percent_text(mean.central_device);
    if (worst.figure != FleetFigure::mean) {
        any += fmt::format(" slower, its {} up to {}", name_of(worst.figure),
                           percent_text(worst.one_device_p95));
        central += " and " + percent_text(worst.central_device);
    } else {
        any += " slower";
    }
    return fmt::format("{}: a search on one device can make the fleet's mean up to {}; on the "
                       "central device up to {}.{}",
                       differences(anatomy), any, central,
                       anatomy.noise_is_in_shape() ? open_question(anatomy) : "");
}

std::string of_one_benchmark(const FleetAnatomy& anatomy) {
    return fmt::format("Devices differ by {}; whether by more than one ratio each, one benchmark "
                       "cannot tell: let devices run three or more.",
                       percent_text(std::sqrt(anatomy.split.all.total())));
}

} // namespace

std::string percent_text(double share) {
    const double percent = 100.0 * share;
    if (!(percent >= 0.00005)) return "0 %";
    if (percent < 0.01) return "under 0.01 %";
    return fmt::format("{} %", core::significant(percent, percent < 100.0 ? 2 : 3));
}

std::string percent_text(const Estimate& estimate) {
    constexpr double hardly_any = 1e-4;
    if (std::max(estimate.value, estimate.interval.upper) < hardly_any) return "under 0.01 %";
    const auto number = [](double share) {
        const std::string text = share < hardly_any ? "0 %" : percent_text(share);
        return text.substr(0, text.size() - 2); // without the sign
    };
    return fmt::format("{} ({} to {})", percent_text(estimate.value),
                       number(estimate.interval.lower), percent_text(estimate.interval.upper));
}

bool one_device_is_enough(const FleetAnatomy& anatomy) {
    const auto& figures = anatomy.regret.figures;
    return !figures.empty() &&
           std::all_of(figures.begin(), figures.end(), [](const RegretBound& bound) {
               return bound.one_device_p95.interval.upper < negligible_regret;
           });
}

std::string verdict(const FleetAnatomy& anatomy) {
    if (anatomy.devices == 1) return "One device tells nothing about how others differ.";
    if (anatomy.regret.benchmarks == 0)
        return "No two devices ran the same benchmark: whether they differ is not known.";
    if (std::sqrt(anatomy.split.all.total()) < negligible_difference)
        return "Devices do not differ: any one stands for all.";
    if (!anatomy.split.shape_known)
        return anatomy.benchmarks == 1
                   ? of_one_benchmark(anatomy)
                   : "No two benchmarks ran on the same devices: whether these differ by more than "
                     "one ratio each is not known.";
    if (!anatomy.regret.unknown.empty()) return differences(anatomy) + ".";
    return one_device_is_enough(anatomy) ? one_stands_for_all(anatomy) : fleet_matters(anatomy);
}

} // namespace hdap::fleet

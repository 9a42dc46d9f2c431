#include "fleet_anatomy_text.hpp"

#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace hdap::cli {
namespace {

using fleet::percent_text;
using nlohmann::ordered_json;

void print(const std::string& text) {
    std::fputs(text.c_str(), stdout);
}

/// A row of a table: a wide first cell, then others to the right of their columns.
void print_row(const std::string& first, const std::vector<std::string>& cells) {
    std::string line = core::padded_right(first, 32);
    for (const std::string& cell : cells)
        line += "  " + core::padded_left(cell, 20);
    print(line + "\n");
}

std::string sd_text(double variance) {
    return percent_text(std::sqrt(variance));
}

const char* noise_text(const fleet::FleetAnatomy& anatomy) {
    if (anatomy.noise_is_in_shape()) return "noise (not known)";
    if (!anatomy.noise_known) return "noise, or one's own";
    return anatomy.noise.source == fleet::NoiseSource::runs ? "noise (of runs)"
                                                            : "noise (of rounds)";
}

/// Where the odd devices matter to the variance.
void print_without_odd(const fleet::VarianceSplit& split) {
    constexpr double matters = 0.01;
    if (split.odd_devices == 0 || split.odd_share < matters) return;
    print_row(fmt::format("without {}", core::counted(split.odd_devices, "odd device")),
              {sd_text(split.main.noise), sd_text(split.main.speed), sd_text(split.main.shape)});
    print(fmt::format("{:.2g} % of the devices are odd; they make {:.0f} % of the variance\n",
                      100.0 * static_cast<double>(split.odd_devices) /
                          static_cast<double>(split.devices),
                      100.0 * split.odd_share));
}

void print_split(const fleet::FleetAnatomy& anatomy) {
    const fleet::VarianceSplit& split = anatomy.split;
    const double total = split.all.total();
    if (anatomy.devices < 2 || total == 0.0 || !split.shape_known) return;
    print("\n");
    print_row("how devices differ", {noise_text(anatomy), "overall speed", "shape"});
    const auto share = [&](double part) { return fmt::format("{:.0f} %", 100.0 * part / total); };
    const auto noise = [&](const std::string& text) {
        return anatomy.noise_is_in_shape() ? std::string("–") : text;
    };
    print_row("share of the variance",
              {noise(share(split.all.noise)), share(split.all.speed), share(split.all.shape)});
    print_row("standard deviation", {noise(sd_text(split.all.noise)), sd_text(split.all.speed),
                                     sd_text(split.all.shape)});
    print_without_odd(split);
    if (!anatomy.noise_known && !anatomy.noise_is_in_shape())
        print("one's own: specific to one benchmark, which repeated measurements would tell from "
              "noise\n");
}

std::string description_text(const fleet::DimensionError& of) {
    if (of.rank == 0) return "nothing: the fleet's medians";
    if (of.one_ratio) return "one ratio";
    return core::counted(of.rank, "factor");
}

/// The first ones, and from the chosen one on two more: further ones are as good.
void print_dimension(const fleet::EffectiveDimension& dimension) {
    constexpr std::size_t first = 6;
    if (!dimension.unknown.empty()) {
        print(fmt::format("\neffective dimension: not known, as {}\n", dimension.unknown));
        return;
    }
    print("\n");
    print_row("what describes a device", {"error elsewhere"});
    const std::size_t shown = std::min(dimension.errors.size(), dimension.chosen + 3);
    for (std::size_t k = 0; k < shown; ++k)
        if (k < first || k >= dimension.chosen)
            print_row(description_text(dimension.errors[k]),
                      {percent_text(dimension.errors[k].error) +
                       (k == dimension.chosen ? ", enough" : "")});
        else if (k == first)
            print("…\n");
    print("elsewhere: on a benchmark that the device did not run\n");
    if (dimension.rank() == 0)
        print("no benchmark tells another: what differs is noise or specific to one benchmark\n");
}

/// Whether a label explains enough to be shown, beyond chance.
bool is_worth_a_row(const fleet::Explanation& of) {
    constexpr double least = 0.01;
    return (of.explains_speed() && of.speed >= least) || (of.explains_shape() && of.shape >= least);
}

void print_explanations(const fleet::FleetAnatomy& anatomy) {
    constexpr std::size_t most_shown = 8;
    if (anatomy.explanations.empty()) return;
    print("\n");
    const auto share = [](double explained, bool beyond_chance) {
        return beyond_chance ? fmt::format("{:.0f} %", 100.0 * explained) : std::string("–");
    };
    std::size_t shown = 0;
    for (const fleet::Explanation& of : anatomy.explanations) {
        if (shown == most_shown || !is_worth_a_row(of)) continue;
        if (shown++ == 0) print_row("what explains it", {"overall speed", "shape", "known of"});
        print_row(core::shortened(core::printable(of.name), 32),
                  {share(of.speed, of.explains_speed()), share(of.shape, of.explains_shape()),
                   core::counted(of.devices, "device")});
    }
    const std::size_t others = anatomy.explanations.size() - shown;
    if (others > 0)
        print(fmt::format("{} explain{} {}\n",
                          core::counted(others, "label or attribute", "labels and attributes"),
                          others == 1 ? "s" : "",
                          shown == most_shown ? "less, or nothing" : "next to nothing"));
}

void print_sample_sizes(const fleet::Fleet& fleet, const fleet::FleetAnatomy& anatomy) {
    const fleet::SampleSizes& sizes = anatomy.sample_sizes;
    if (fleet.devices() < 2) return;
    print("\n");
    print_row("devices to measure", {"mean", "p95", "slowest hundredth"});
    print_row(fmt::format("for {:g} % error", 100.0 * sizes.error),
              {core::grouped(sizes.mean.devices), core::grouped(sizes.p95.devices),
               core::grouped(sizes.worst_percent.devices)});
    print(fmt::format("drawn at random from {}; 95 % of the draws err by no more\n",
                      core::grouped(fleet.devices())));
}

const char* heading_of(fleet::FleetFigure figure) {
    switch (figure) {
    case fleet::FleetFigure::mean:
        return "mean";
    case fleet::FleetFigure::p95:
        return "p95";
    case fleet::FleetFigure::worst_percent:
        return "slowest hundredth";
    case fleet::FleetFigure::worst_group:
        break;
    }
    return "slowest group";
}

/// One view of the fleet, over all of its figures.
template <class Cell>
void print_view(const char* view, const std::vector<fleet::RegretBound>& figures, Cell cell) {
    std::vector<std::string> cells;
    cells.reserve(figures.size());
    for (const fleet::RegretBound& bound : figures)
        cells.push_back(percent_text(cell(bound)));
    print_row(view, cells);
}

void print_regret(const fleet::Fleet& fleet, const fleet::FleetAnatomy& anatomy) {
    const auto& figures = anatomy.regret.figures;
    if (figures.empty()) return;
    std::vector<std::string> headings;
    headings.reserve(figures.size());
    for (const fleet::RegretBound& bound : figures)
        headings.emplace_back(heading_of(bound.figure));
    print("\n");
    print_row("slower at most, when chosen by", headings);
    print_view("one device", figures, [](const auto& bound) { return bound.one_device; });
    print_view("an unlucky one (1 in 20)", figures,
               [](const auto& bound) { return bound.one_device_p95; });
    print_view("the central device", figures,
               [](const auto& bound) { return bound.central_device; });
    if (figures.front().equal_groups)
        print_view("groups that count the same", figures,
                   [](const auto& bound) { return *bound.equal_groups; });
    print(fmt::format("central device: {}\n",
                      core::printable(fleet.device_ids[anatomy.regret.central_device])));
    if (!anatomy.groups_by.empty())
        print(fmt::format("groups: by {}\n", core::printable(anatomy.groups_by)));
    if (anatomy.agreement)
        print(fmt::format("these rank the benchmarks with Kendall's tau {:.2f} (median), {:.2f} "
                          "(lowest)\n",
                          anatomy.agreement->median, anatomy.agreement->lowest));
}

ordered_json number(double value) {
    return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json document_of(const fleet::Estimate& estimate) {
    return {{"value", number(estimate.value)},
            {"interval", {number(estimate.interval.lower), number(estimate.interval.upper)}}};
}

ordered_json document_of(const fleet::VarianceParts& parts) {
    return {{"noise_sd", std::sqrt(parts.noise)},
            {"speed_sd", std::sqrt(parts.speed)},
            {"shape_sd", std::sqrt(parts.shape)}};
}

const char* source_name(const fleet::FleetAnatomy& anatomy) {
    switch (anatomy.noise.source) {
    case fleet::NoiseSource::runs:
        return "runs";
    case fleet::NoiseSource::rounds:
        return "rounds";
    case fleet::NoiseSource::prediction:
        break;
    }
    return anatomy.dimension.unknown.empty() ? "prediction" : "none";
}

ordered_json document_of(const fleet::EffectiveDimension& dimension) {
    if (!dimension.unknown.empty()) return {{"rank", nullptr}, {"unknown", dimension.unknown}};
    ordered_json errors = ordered_json::array();
    for (const fleet::DimensionError& of : dimension.errors)
        errors.push_back({{"rank", of.rank}, {"one_ratio", of.one_ratio}, {"error", of.error}});
    return {{"rank", dimension.rank()},
            {"one_ratio", dimension.errors[dimension.chosen].one_ratio},
            {"devices", dimension.devices},
            {"errors", errors}};
}

ordered_json document_of(const std::vector<fleet::Explanation>& explanations) {
    ordered_json all = ordered_json::array();
    for (const fleet::Explanation& of : explanations)
        all.push_back({{"name", of.name},
                       {"numeric", of.numeric},
                       {"devices", of.devices},
                       {"groups", of.groups},
                       {"speed", of.speed},
                       {"speed_p", of.speed_p},
                       {"shape", of.shape},
                       {"shape_p", of.shape_p}});
    return all;
}

ordered_json document_of(const fleet::RegretBounds& regret) {
    if (!regret.unknown.empty()) return {{"unknown", regret.unknown}};
    ordered_json figures = ordered_json::object();
    for (const fleet::RegretBound& bound : regret.figures) {
        std::string key = heading_of(bound.figure);
        std::replace(key.begin(), key.end(), ' ', '_');
        figures[key] = {{"one_device_median", document_of(bound.one_device)},
                        {"one_device_p95", document_of(bound.one_device_p95)},
                        {"one_device_p95_if_no_noise", bound.one_device_raw},
                        {"central_device", document_of(bound.central_device)},
                        {"equal_groups", bound.equal_groups ? document_of(*bound.equal_groups)
                                                            : ordered_json(nullptr)}};
    }
    return figures;
}

} // namespace

void print_anatomy(const fleet::Fleet& fleet, const fleet::FleetAnatomy& anatomy) {
    print_split(anatomy);
    if (fleet.devices() > 1) print_dimension(anatomy.dimension);
    print_explanations(anatomy);
    print_sample_sizes(fleet, anatomy);
    print_regret(fleet, anatomy);
    if (anatomy.split.devices < fleet.devices())
        print(
            fmt::format("(by samples of the devices, up to {} of them; all of them for how many to "
                        "measure)\n",
                        core::grouped(anatomy.split.devices)));
    print(fmt::format("\n{}\n", fleet::verdict(anatomy)));
}

ordered_json anatomy_document(const fleet::Fleet& fleet, const fleet::FleetAnatomy& anatomy) {
    const auto size = [&](const fleet::SampleSize& of) {
        return ordered_json{{"devices", of.devices},
                            {"benchmark", fleet.benchmark_names[of.benchmark]}};
    };
    const fleet::SampleSizes& sizes = anatomy.sample_sizes;
    ordered_json document;
    document["noise"] = source_name(anatomy);
    document["shape_known"] = anatomy.split.shape_known;
    document["all"] = document_of(anatomy.split.all);
    document["without_odd"] = document_of(anatomy.split.main);
    document["odd_devices"] = anatomy.split.odd_devices;
    document["odd_share_of_variance"] = anatomy.split.odd_share;
    document["dimension"] = document_of(anatomy.dimension);
    document["explanations"] = document_of(anatomy.explanations);
    document["devices_to_measure"] = {{"error", sizes.error},
                                      {"mean", size(sizes.mean)},
                                      {"p95", size(sizes.p95)},
                                      {"slowest_hundredth", size(sizes.worst_percent)}};
    document["regret"] = document_of(anatomy.regret);
    document["central_device"] = anatomy.regret.unknown.empty()
                                     ? ordered_json(fleet.device_ids[anatomy.regret.central_device])
                                     : ordered_json(nullptr);
    document["groups_by"] =
        anatomy.groups_by.empty() ? ordered_json(nullptr) : ordered_json(anatomy.groups_by);
    document["groups_tau"] = anatomy.agreement ? ordered_json(anatomy.agreement->median) : nullptr;
    document["verdict"] = fleet::verdict(anatomy);
    return document;
}

} // namespace hdap::cli

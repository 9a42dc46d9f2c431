#include "hdap/report/holds.hpp"

#include "hdap/core/text.hpp"
#include "metric_text.hpp"
#include "verdict.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>

namespace hdap::report {
namespace {

/// Or an energy: what devices are measured for and surrogates predict.
bool is_latency(const Bound& bound) {
    return bound.metric.starts_with("latency.") || bound.metric.starts_with("energy.");
}

bool is_latency_of(const Bound* bound) {
    return is_latency(*bound);
}

/// The networks of the front that keep the constraints so.
std::vector<const NetworkRow*> front_rows(const StudyReport& report, Holds wanted) {
    std::vector<const NetworkRow*> rows;
    for (const NetworkRow& row : report.networks)
        if (row.kind == NetworkKind::front && holds(report, row) == wanted) rows.push_back(&row);
    return rows;
}

/// "a", "a and b", "a, b and 3 more"
std::string listed(const std::vector<std::string>& words) {
    constexpr std::size_t most = 6;
    if (words.size() == 1) return words.front();
    const bool all = words.size() <= most;
    const std::size_t named = all ? words.size() - 1 : most - 1;
    return core::join(std::span(words).first(named)) +
           (all ? " and " + words.back() : fmt::format(" and {} more", words.size() - named));
}

std::string ids_of(const std::vector<const NetworkRow*>& rows) {
    std::vector<std::string> ids;
    for (const NetworkRow* row : rows)
        ids.push_back(row->id);
    return listed(ids);
}

/// The bounds that one of `rows` keeps so.
std::vector<const Bound*> bounds_of(const StudyReport& report,
                                    const std::vector<const NetworkRow*>& rows, Holds wanted) {
    std::vector<const Bound*> bounds;
    for (std::size_t i = 0; i < report.bounds.size(); ++i)
        if (std::ranges::any_of(
                rows, [&](const NetworkRow* row) { return holds(report, *row, i) == wanted; }))
            bounds.push_back(&report.bounds[i]);
    return bounds;
}

std::string texts_of(const std::vector<const Bound*>& bounds) {
    std::vector<std::string> texts;
    for (const Bound* bound : bounds)
        texts.push_back(bound->text);
    return listed(texts);
}

std::string counts_sentence(const StudyReport& report) {
    const std::int64_t kept = count_of(report, Holds::yes);
    const std::int64_t unknown = count_of(report, Holds::unknown);
    const std::int64_t all = kept + unknown + count_of(report, Holds::no);
    if (unknown == all) return "";
    if (all == 1)
        return fmt::format("The only network of the front {} the constraints {}. ",
                           kept == 1 ? "keeps" : "does not keep", how_found(report));
    const char* none = unknown > 0 ? "is known to keep" : "keeps";
    return fmt::format("{} of the {} of the front {} the constraints {}. ",
                       kept == 0 ? "None" : (kept == all ? "All" : core::grouped(kept)),
                       core::counted(all, "network"),
                       kept == 0 ? none : (kept == 1 ? "keeps" : "keep"), how_found(report));
}

std::string broken_sentence(const StudyReport& report) {
    const auto rows = front_rows(report, Holds::no);
    if (rows.empty()) return "";
    return fmt::format("{} {} {}. ", ids_of(rows), rows.size() == 1 ? "breaks" : "break",
                       texts_of(bounds_of(report, rows, Holds::no)));
}

/// Of what predicts the latencies that are bounded.
double largest_error(const StudyReport& report, const std::vector<const Bound*>& bounds) {
    double largest = 0.0;
    for (const Bound* bound : bounds)
        if (is_latency(*bound)) largest = std::max(largest, surrogate_error(report, *bound));
    return largest;
}

std::string unknown_sentence(const StudyReport& report) {
    const auto rows = front_rows(report, Holds::unknown);
    if (rows.empty()) return "";
    const auto bounds = bounds_of(report, rows, Holds::unknown);
    const bool latencies = std::ranges::any_of(bounds, is_latency_of);
    const bool accuracies = !std::ranges::all_of(bounds, is_latency_of);
    std::string why;
    if (latencies)
        why =
            fmt::format("latencies are predicted, with a mean error of {} %, and more on a front, "
                        "as a search prefers what is predicted too low{}",
                        core::significant(100.0 * largest_error(report, bounds), 2),
                        report.found_latencies == DeviceLatencySource::measured
                            ? " (hdap fleet verify --front measures them)"
                            : "");
    if (latencies && accuracies) why += "; ";
    if (accuracies) why += "what was not fine-tuned was classified on a part of the images only";
    return fmt::format("Of {} of the front it is not known whether {} {}: {}. ",
                       core::counted(rows.size(), "network"), texts_of(bounds),
                       bounds.size() == 1 ? "holds" : "hold", why);
}

std::string best_sentence(const StudyReport& report) {
    const NetworkRow* best = verdict(report).best;
    if (best == nullptr || holds(report, *best) != Holds::yes) return "";
    return fmt::format("The best that keeps them all: {}. ", best->id);
}

/// What to do about bounds on latencies that do not hold, or may not.
std::string latency_remedy(const StudyReport& report, const std::vector<const Bound*>& bounds) {
    std::vector<std::string> safer;
    for (const Bound* bound : bounds)
        if (!bound->safer.empty()) safer.push_back(bound->safer);
    if (safer.empty()) return "";
    const char* more = report.found_latencies == DeviceLatencySource::recorded
                           ? "measure more candidates for fleet.recorded.file"
                           : "raise profile.candidates";
    return fmt::format("To be safer, {}, or search with a margin: {}. ", more, listed(safer));
}

std::string remedies(const StudyReport& report) {
    auto bounds = bounds_of(report, front_rows(report, Holds::no), Holds::no);
    for (const Bound* bound : bounds_of(report, front_rows(report, Holds::unknown), Holds::unknown))
        if (std::ranges::find(bounds, bound) == bounds.end()) bounds.push_back(bound);
    std::string text = latency_remedy(report, bounds);
    if (std::ranges::any_of(
            bounds, [](const Bound* bound) { return bound->doubtful && !is_latency(*bound); }))
        text += "Accuracies: fine-tune more networks (finetune.candidates), or for longer "
                "(finetune.epochs). ";
    return text;
}

} // namespace

double surrogate_error(const StudyReport& report, const Bound& bound) {
    for (const auto& [quantity, error] : report.other_errors)
        if (bound.metric == fleet::row_of(quantity).metric) return error;
    return report.surrogate_error;
}

std::string_view name_of(Holds holds) {
    switch (holds) {
    case Holds::no:
        return "no";
    case Holds::yes:
        return "yes";
    case Holds::unknown:
        break;
    }
    return "unknown";
}

Holds holds(const StudyReport& report, const NetworkRow& row, std::size_t index) {
    const double found = row.found[index];
    const double limit = report.bounds[index].limit;
    if (std::isnan(found) || std::isnan(limit)) return Holds::unknown;
    return found <= limit ? Holds::yes : Holds::no;
}

Holds holds(const StudyReport& report, const NetworkRow& row) {
    Holds all = Holds::yes;
    for (std::size_t i = 0; i < report.bounds.size(); ++i)
        all = std::min(all, holds(report, row, i));
    return all;
}

std::string how_found(const StudyReport& report) {
    const bool latencies = std::ranges::any_of(report.bounds, is_latency);
    if (!latencies) return "by the final accuracies";
    return report.found_latencies == DeviceLatencySource::recorded
               ? "on the devices, as recorded there"
               : fmt::format("on the devices, {}", found_devices_text(report));
}

bool has_doubtful_bounds(const StudyReport& report) {
    return std::ranges::any_of(report.bounds, &Bound::doubtful);
}

std::vector<std::size_t> found_metrics(const StudyReport& report) {
    std::vector<std::size_t> chosen;
    for (std::size_t i = 0; i < report.bounds.size(); ++i) {
        const auto is_same = [&](std::size_t other) {
            return report.bounds[other].metric == report.bounds[i].metric;
        };
        if (report.bounds[i].doubtful && std::ranges::none_of(chosen, is_same)) chosen.push_back(i);
    }
    return chosen;
}

std::vector<std::string> broken_bounds(const StudyReport& report, const NetworkRow& row) {
    std::vector<std::string> broken;
    for (std::size_t i = 0; i < report.bounds.size(); ++i)
        if (holds(report, row, i) == Holds::no) broken.push_back(report.bounds[i].text);
    return broken;
}

bool is_marked(const StudyReport& report, const NetworkRow& row) {
    return has_doubtful_bounds(report) && row.kind == NetworkKind::front &&
           holds(report, row) == Holds::no;
}

std::int64_t count_of(const StudyReport& report, Holds holds) {
    return static_cast<std::int64_t>(front_rows(report, holds).size());
}

std::string holds_text(const StudyReport& report) {
    if (!has_doubtful_bounds(report) || std::ranges::none_of(report.networks, [](const auto& row) {
            return row.kind == NetworkKind::front;
        }))
        return "";
    std::string text = counts_sentence(report) + broken_sentence(report) +
                       unknown_sentence(report) + best_sentence(report) + remedies(report);
    text.pop_back();
    return text;
}

} // namespace hdap::report

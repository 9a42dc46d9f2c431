#include "commands.hpp"
#include "hdap/ablation/collection.hpp"
#include "hdap/ablation/comparison.hpp"
#include "hdap/ablation/folder.hpp"
#include "hdap/ablation/plan.hpp"
#include "hdap/ablation/status.hpp"
#include "hdap/ablation/tables.hpp"
#include "hdap/core/text.hpp"
#include "print_document.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace hdap::cli {
namespace {

using ablation::ComparisonRow;
using core::ExitCode;
using nlohmann::ordered_json;

struct CollectOptions {
    std::string plan;
    std::string folder;
    std::string baseline;
    std::vector<std::string> metrics;
    bool json = false;
};

/// An ablation that was collected and written down.
struct CollectedAblation {
    ablation::Plan plan;
    ablation::Comparison comparison;
    ablation::Collection collection;
    std::vector<ComparisonRow> rows;
    ablation::CollectedFiles files;
    std::vector<std::string> waiting; ///< ids of the missing cells that wait for measurements
};

constexpr double significance = 0.05;

bool waits(const ablation::Folder& folder, const std::string& id) {
    return ablation::last_attempt(folder, {.id = id, .labels = {}, .overrides = {}}).state ==
           ablation::CellState::waiting;
}

CollectedAblation collect_and_write(const CollectOptions& options) {
    CollectedAblation result;
    result.plan = ablation::read_plan(options.plan);
    result.comparison = ablation::choose_comparison(result.plan, options.baseline);
    const ablation::Folder folder = ablation::folder_of(result.plan, options.folder);
    result.collection = ablation::collect(result.plan, folder);
    if (result.collection.cells.empty()) {
        const auto& damaged = result.collection.damaged;
        throw core::DataError(
            fmt::format("no cell of {} has usable results in {}{}: hdap ablate status tells how "
                        "far the cells are; --out names another folder",
                        options.plan, folder.root.string(),
                        damaged.empty() ? "" : fmt::format(" ({})", damaged.front().reason)));
    }
    result.rows = ablation::compare(result.plan, result.collection, result.comparison);
    result.files = ablation::write_tables(folder, result.plan, result.collection, result.comparison,
                                          result.rows);
    for (const std::string& id : result.collection.missing)
        if (waits(folder, id)) result.waiting.push_back(id);
    return result;
}

/// Says on stderr what the tables lack.
void warn_of_gaps(const CollectedAblation& ablation) {
    const ablation::Collection& collection = ablation.collection;
    for (const ablation::DamagedCell& cell : collection.damaged)
        std::fprintf(stderr, "hdap: warning: cell %s is left out: %s\n", cell.id.c_str(),
                     cell.reason.c_str());
    for (const ablation::MixedInputs& cells : collection.mixed)
        std::fprintf(stderr,
                     "hdap: warning: cells %s and %s name the same network, weights and images, "
                     "but a file of these has changed in between: remove the run directory of one "
                     "and run it again\n",
                     cells.id.c_str(), cells.other_id.c_str());
    if (collection.missing.empty()) return;
    constexpr std::size_t most_named = 8;
    std::vector<std::string> named = collection.missing;
    if (named.size() > most_named) {
        named.resize(most_named);
        named.emplace_back("…");
    }
    std::fprintf(stderr, "hdap: warning: %zu of %zu cells are not complete: %s%s\n",
                 collection.missing.size(), ablation.plan.cells.size(), core::join(named).c_str(),
                 ablation.waiting.empty()
                     ? ""
                     : fmt::format("; {} of them for want of measurements", ablation.waiting.size())
                           .c_str());
}

/// The metrics that the printed table shows unless others are asked for; of those that are there.
constexpr std::array main_metrics{"hypervolume",
                                  "hypervolume_on_devices",
                                  "speedup_at_drop_0.01",
                                  "speedup_at_drop_0.03",
                                  "latency_error_on_devices",
                                  "surrogate_kendall_tau",
                                  "finetuned_test_accuracy_front",
                                  "accuracies_measured",
                                  "search_wall"};

/// The names of all metrics, final ones first.
std::vector<std::string> known_metrics(const ablation::Collection& collection) {
    std::vector<std::string> names;
    for (const auto* columns : {&collection.final_metrics, &collection.costs})
        for (const study::ResultSeries& column : *columns)
            names.push_back(column.name);
    return names;
}

/// Whether a metric is in the printed table; `wanted` are those that were asked for.
bool is_shown(const std::string& metric, const std::vector<std::string>& wanted) {
    const auto is_in = [&](const auto& list) {
        return std::find(list.begin(), list.end(), metric) != list.end();
    };
    return wanted.empty() ? is_in(main_metrics) : is_in(wanted);
}

void require_known(const std::vector<std::string>& wanted, const ablation::Collection& collection) {
    const std::vector<std::string> known = known_metrics(collection);
    for (const std::string& name : wanted)
        if (std::find(known.begin(), known.end(), name) == known.end())
            throw core::UsageError(fmt::format("--metrics: no cell has a metric '{}'{}; known: {}",
                                               name, core::did_you_mean(name, known),
                                               core::join(known)));
}

// ------------------------------------------------------------------------------------- the table

using TableLine = std::vector<std::string>;

/// Lines may end early.
void print_table(const std::vector<TableLine>& lines) {
    std::vector<std::size_t> widths(lines.front().size());
    for (const TableLine& line : lines)
        for (std::size_t c = 0; c < line.size(); ++c)
            widths[c] = std::max(widths[c], core::display_width(line[c]));
    for (const TableLine& line : lines) {
        std::string text;
        for (std::size_t c = 0; c < line.size(); ++c)
            text += "  " + core::padded_right(line[c], widths[c]);
        text.erase(text.find_last_not_of(' ') + 1);
        std::printf("%s\n", text.c_str());
    }
}

std::string signed_text(double value) {
    return (value > 0.0 ? "+" : "") + core::significant(value, 3);
}

std::string p_text(double p) {
    constexpr double least = 1e-4;
    return (p < least ? "<0.0001" : core::significant(p, 2)) + (p < significance ? " *" : "");
}

/// An estimate with its interval, where there are enough values for one.
std::string shift_text(const ablation::PairedDifference& difference) {
    const ablation::Interval& interval = difference.shift_interval;
    if (std::isnan(interval.low)) return signed_text(difference.shift);
    return fmt::format("{} [{}, {}]", signed_text(difference.shift), signed_text(interval.low),
                       signed_text(interval.high));
}

std::string or_dash(double value, int digits) {
    return std::isnan(value) ? "–" : core::significant(value, digits);
}

TableLine table_line(const ComparisonRow& row, const ablation::Comparison& comparison,
                     bool names_metric) {
    const ablation::Summary& summary = row.summary;
    TableLine line{
        names_metric ? row.metric + (row.unit == "1" ? "" : fmt::format(" ({})", row.unit)) : "",
        row.label, std::to_string(summary.count),
        fmt::format("{} [{}, {}]", core::significant(summary.median), core::significant(summary.q1),
                    core::significant(summary.q3))};
    if (comparison.axis.empty() || !row.difference) return line;
    const ablation::PairedDifference& difference = *row.difference;
    line.insert(line.end(), {std::to_string(difference.pairs), shift_text(difference),
                             or_dash(difference.ratio_percent, 4), p_text(difference.p_holm)});
    if (!comparison.fleets.empty())
        line.insert(line.end(), {or_dash(std::sqrt(difference.variances.between), 3),
                                 or_dash(std::sqrt(difference.variances.within), 3)});
    return line;
}

/// Prints the rows of one axis and group that are shown.
void print_group(const std::vector<ComparisonRow>& rows, const ablation::Comparison& comparison) {
    const bool compares = !comparison.axis.empty();
    const ComparisonRow& first = rows.front();
    std::string title = first.axis.empty() ? "all cells" : first.axis;
    if (!first.group.empty()) title += ", where " + first.group;
    const bool over_fleets = !comparison.fleets.empty() && first.axis != comparison.fleets;
    if (compares) title += ": compared with " + comparison.baseline;
    if (over_fleets) title += fmt::format(", over fleets ({})", comparison.fleets);
    std::printf("\n%s\n", title.c_str());
    std::vector<TableLine> lines{
        {"metric", "label", over_fleets ? "fleets" : "n", "median [quartiles]"}};
    if (compares)
        lines.front().insert(lines.front().end(), {"pairs", "shift [95 %]", "%", "p (Holm)"});
    if (compares && over_fleets)
        lines.front().insert(lines.front().end(), {"sd between", "within"});
    for (std::size_t i = 0; i < rows.size(); ++i)
        lines.push_back(
            table_line(rows[i], comparison, i == 0 || rows[i].metric != rows[i - 1].metric));
    print_table(lines);
}

/// One metric in each fleet alone.
void print_fleets(const std::vector<ComparisonRow>& rows, const ablation::Comparison& comparison) {
    if (rows.empty()) return;
    std::printf("\n%s, fleet by fleet (all metrics are in comparison.csv)\n",
                rows.front().metric.c_str());
    std::vector<TableLine> lines{{"where", comparison.axis, "n", "median", "pairs", "shift", "%"}};
    for (const ComparisonRow& row : rows) {
        TableLine& line =
            lines.emplace_back(TableLine{row.group, row.label, std::to_string(row.summary.count),
                                         or_dash(row.summary.median, 4)});
        if (row.difference)
            line.insert(line.end(),
                        {std::to_string(row.difference->pairs), signed_text(row.difference->shift),
                         or_dash(row.difference->ratio_percent, 4)});
    }
    print_table(lines);
}

/// With few pairs no difference can be significant, however large: the reader must know.
void print_notes(const CollectedAblation& ablation) {
    if (ablation.comparison.axis.empty()) return;
    std::size_t most_pairs = 0;
    for (const ComparisonRow& row : ablation.rows)
        if (row.difference) most_pairs = std::max(most_pairs, row.difference->tested());
    const bool over_fleets = !ablation.comparison.fleets.empty();
    constexpr std::size_t least_pairs = 6; // 2 · 2^−6 < 0.05
    std::printf("\n* p < 0.05, signed-rank test over %s, adjusted over the labels of a metric "
                "(Holm)\n",
                over_fleets ? "fleets, each by the mean of its pairs" : "pairs");
    if (over_fleets)
        std::printf(
            "sd of a pair's shift, between fleets and within one (which needs two pairs)\n");
    if (most_pairs < least_pairs)
        std::printf(
            "%s: p cannot be below %s; 0.05 needs %zu %s at least\n",
            core::counted(most_pairs, over_fleets ? "fleet" : "pair").c_str(),
            core::significant(std::min(1.0, std::ldexp(2.0, -static_cast<int>(most_pairs))), 3)
                .c_str(),
            least_pairs, over_fleets ? "fleets" : "pairs");
}

void print_text(const CollectedAblation& ablation, const std::vector<std::string>& metrics) {
    std::printf("%s: %zu of %zu cells complete\n", ablation.plan.name.c_str(),
                ablation.collection.cells.size(), ablation.plan.cells.size());
    std::vector<ComparisonRow> shown;
    std::vector<ComparisonRow> of_fleets;
    for (const ComparisonRow& row : ablation.rows)
        if (is_shown(row.metric, metrics)) (row.fleet.empty() ? shown : of_fleets).push_back(row);
    const auto is_other = [&](const auto& row) { return row.metric != of_fleets.front().metric; };
    if (!of_fleets.empty()) std::erase_if(of_fleets, is_other);
    for (auto first = shown.begin(); first != shown.end();) {
        const auto last = std::find_if(first, shown.end(), [&](const ComparisonRow& row) {
            return row.axis != first->axis || row.group != first->group;
        });
        print_group({first, last}, ablation.comparison);
        first = last;
    }
    print_fleets(of_fleets, ablation.comparison);
    print_notes(ablation);
    std::printf("\nall metrics: %s\n\n", core::join(known_metrics(ablation.collection)).c_str());
    for (const auto* file : {&ablation.files.results, &ablation.files.cells,
                             &ablation.files.history, &ablation.files.comparison})
        std::printf("  %s\n", file->c_str());
}

// ------------------------------------------------------------------------------------------ JSON

/// NaN has no form in JSON; null has.
ordered_json number(double value) {
    return std::isfinite(value) ? ordered_json(value) : ordered_json(nullptr);
}

ordered_json row_json(const ComparisonRow& row) {
    ordered_json json{{"axis", row.axis},
                      {"group", row.group},
                      {"fleet", row.fleet},
                      {"metric", row.metric},
                      {"kind", row.is_cost ? "cost" : "final"},
                      {"unit", row.unit},
                      {"label", row.label},
                      {"n", row.summary.count},
                      {"missing", row.summary.missing},
                      {"median", number(row.summary.median)},
                      {"q1", number(row.summary.q1)},
                      {"q3", number(row.summary.q3)},
                      {"median_low", number(row.summary.median_interval.low)},
                      {"median_high", number(row.summary.median_interval.high)}};
    if (!row.difference) return json;
    json["pairs"] = row.difference->pairs;
    json["fleets"] = row.difference->fleets;
    json["baseline_median"] = number(row.difference->baseline_median);
    json["difference"] = number(row.difference->shift);
    json["difference_low"] = number(row.difference->shift_interval.low);
    json["difference_high"] = number(row.difference->shift_interval.high);
    json["ratio_percent"] = number(row.difference->ratio_percent);
    json["effect"] = number(row.difference->effect);
    json["p"] = number(row.difference->p);
    json["p_holm"] = number(row.difference->p_holm);
    json["sd_between_fleets"] = number(std::sqrt(row.difference->variances.between));
    json["sd_within_fleets"] = number(std::sqrt(row.difference->variances.within));
    return json;
}

void print_json(const CollectedAblation& ablation) {
    ordered_json document{{"name", ablation.plan.name},
                          {"planned", ablation.plan.cells.size()},
                          {"complete", ablation.collection.cells.size()},
                          {"missing", ablation.collection.missing},
                          {"waiting", ablation.waiting},
                          {"damaged", ordered_json::array()},
                          {"mixed_inputs", ordered_json::array()},
                          {"compare", ablation.comparison.axis},
                          {"baseline", ablation.comparison.baseline},
                          {"within", ablation.comparison.within},
                          {"fleets", ablation.comparison.fleets},
                          {"files",
                           {{"results", ablation.files.results.string()},
                            {"cells", ablation.files.cells.string()},
                            {"history", ablation.files.history.string()},
                            {"comparison", ablation.files.comparison.string()}}},
                          {"rows", ordered_json::array()}};
    for (const ablation::DamagedCell& cell : ablation.collection.damaged)
        document["damaged"].push_back({{"id", cell.id}, {"reason", cell.reason}});
    for (const ablation::MixedInputs& cells : ablation.collection.mixed)
        document["mixed_inputs"].push_back({cells.id, cells.other_id});
    for (const ComparisonRow& row : ablation.rows)
        document["rows"].push_back(row_json(row));
    print_document(document);
}

ExitCode collect_ablation(const CollectOptions& options) {
    const CollectedAblation ablation = collect_and_write(options);
    require_known(options.metrics, ablation.collection);
    warn_of_gaps(ablation);
    if (options.json)
        print_json(ablation);
    else
        print_text(ablation, options.metrics);
    return ExitCode::complete;
}

} // namespace

void add_ablate_collect_command(CLI::App& group, Action& action) {
    auto options = std::make_shared<CollectOptions>();
    CLI::App* collect = add_command(
        group, "collect",
        "Put the results of all complete cells into one HDF5 file and CSV tables, and compare the "
        "labels of an axis with a baseline, over pairs of cells that are equal otherwise; over "
        "fleets, where an axis is, with each fleet as one.",
        "hdap ablate collect jobs/seeds.toml --baseline 16");
    collect->add_option("PLAN", options->plan, "Plan (TOML)")->required();
    collect->add_option("--out", options->folder, "The ablation's folder [runs/NAME]");
    collect->add_option("--baseline", options->baseline,
                        "Label that the others of its axis are compared with [the plan's]; none: "
                        "compare nothing");
    collect
        ->add_option("--metrics", options->metrics,
                     "Metrics in the printed table, comma-separated [the main ones]")
        ->delimiter(',');
    collect->add_flag("--json", options->json, "Print everything as JSON");
    collect->callback([options, &action] {
        action = [options](Arguments) { return collect_ablation(*options); };
    });
}

} // namespace hdap::cli

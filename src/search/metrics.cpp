#include "hdap/search/metrics.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/statistics.hpp"
#include "hdap/core/text.hpp"
#include "hdap/fleet/fleet.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <system_error>

namespace hdap::search {

/// What a metric is computed from.
struct MetricInput {
    const CandidateFacts& facts;
    const CandidateFacts& reference;
    const fleet::FleetDistribution& fleet;
    double argument; ///< of the metric's name
};

enum class MetricArgument { none, milliseconds };

struct MetricRow {
    const char* name;
    const char* column; ///< followed by the argument, if there is one
    const char* unit;
    bool needs_accuracy = false;
    bool only_where_named = false; ///< logged where the goal names it, not by every study
    bool follows_from_costs = false;
    fleet::Quantity quantity = fleet::Quantity::latency; ///< that is to be measured
    bool can_be_relative = true;
    MetricArgument argument = MetricArgument::none;
    double lowest = 0;
    double highest = std::numeric_limits<double>::max();
    double (*value)(const MetricInput&);
    /// Of the reference's input and the accuracy of guessing. Null: the reference's own value.
    double (*worst)(const MetricInput&, double) = nullptr;
    /// Of the latencies on the devices and the argument. Null: it takes more than latencies.
    double (*on_devices)(const DeviceLatencies&, double) = nullptr;
};

namespace {

double latency_mean(const MetricInput& of) {
    return fleet::mean_latency_ms(of.fleet, of.facts.cluster_latency_ms);
}

const std::vector<double>& predicted(const MetricInput& of, fleet::Quantity quantity) {
    const auto found = of.facts.cluster_others.find(quantity);
    if (found == of.facts.cluster_others.end() ||
        found->second.size() != of.facts.cluster_latency_ms.size())
        throw core::InternalError(fmt::format("{} of a candidate without such predictions",
                                              fleet::row_of(quantity).metric));
    return found->second;
}

/// How devices differ from their representatives is known of short benchmarks only, and taken to be
/// the same under continuous load: an approximation.
double latency_sustained(const MetricInput& of) {
    return fleet::mean_latency_ms(of.fleet, predicted(of, fleet::Quantity::sustained_latency));
}

/// Of the representatives alone: what makes a device slow makes it take more energy, being on for
/// longer, and less, as at a lower clock its voltage is lower; so its ratio in latency tells less
/// than nothing of its energy (docs/simulated-devices.md has figures).
double energy_mean(const MetricInput& of) {
    const std::vector<double>& energy_mj = predicted(of, fleet::Quantity::energy);
    double mean = 0;
    for (std::size_t k = 0; k < energy_mj.size(); ++k)
        mean += of.fleet.cluster_weight[k] * energy_mj[k];
    return mean;
}

double latency_worst_cluster(const MetricInput& of) {
    double worst = 0;
    for (std::size_t k = 0; k < of.facts.cluster_latency_ms.size(); ++k)
        worst = std::max(worst, fleet::cluster_mean_ms(of.fleet, of.facts.cluster_latency_ms, k));
    return worst;
}

template <int percent>
double latency_quantile(const MetricInput& of) {
    return fleet::latency_quantile_ms(of.fleet, of.facts.cluster_latency_ms, percent / 100.0);
}

double slower_than_argument(const MetricInput& of) {
    return fleet::share_slower_than(of.fleet, of.facts.cluster_latency_ms, of.argument);
}

double mean_on_devices(const DeviceLatencies& of, double /*argument*/) {
    return core::mean(of.device_ms);
}

/// Not a number where nobody knows it.
template <fleet::Quantity quantity>
double other_mean_on_devices(const DeviceLatencies& of, double /*argument*/) {
    const auto found = of.other_means.find(quantity);
    return found == of.other_means.end() ? std::numeric_limits<double>::quiet_NaN() : found->second;
}

double worst_cluster_on_devices(const DeviceLatencies& of, double /*argument*/) {
    const auto is_unknown = [](double latency_ms) { return std::isnan(latency_ms); };
    return std::ranges::any_of(of.cluster_mean_ms, is_unknown)
               ? std::numeric_limits<double>::quiet_NaN()
               : std::ranges::max(of.cluster_mean_ms);
}

/// The smallest latency that the share keeps to, as fleet::latency_quantile_ms of predictions.
template <int percent>
double quantile_on_devices(const DeviceLatencies& of, double /*argument*/) {
    std::vector<double> latencies = of.device_ms;
    const auto rank = (latencies.size() * percent + 99) / 100 - 1;
    const auto at = latencies.begin() + static_cast<std::ptrdiff_t>(rank);
    std::ranges::nth_element(latencies, at);
    return *at;
}

double slower_on_devices(const DeviceLatencies& of, double limit_ms) {
    const auto slower = std::ranges::count_if(
        of.device_ms, [&](double latency_ms) { return latency_ms > limit_ms; });
    return static_cast<double>(slower) / static_cast<double>(of.device_ms.size());
}

double all_devices(const MetricInput& /*of*/, double /*chance*/) {
    return 1;
}

double accuracy_drop(const MetricInput& of) {
    return of.reference.accuracy - of.facts.accuracy;
}

/// A reference that is no better than chance gives no scale.
double drop_to_chance(const MetricInput& of, double chance) {
    return std::max(of.reference.accuracy - chance, 0.01);
}

/// The share of the reference's accuracy that is lost; of one that is never right nothing can be.
double relative_accuracy_drop(const MetricInput& of) {
    return of.reference.accuracy == 0 ? 0 : 1 - of.facts.accuracy / of.reference.accuracy;
}

double relative_drop_to_chance(const MetricInput& of, double chance) {
    const double reference = of.reference.accuracy;
    return std::max(reference > 0 ? 1 - chance / reference : 0, 0.01);
}

double pruning_loss(const MetricInput& of) {
    return of.facts.pruning_loss;
}

/// Of 37 % of all channels: what prunes more is of no use.
double most_pruning_loss(const MetricInput& /*of*/, double /*chance*/) {
    return 1;
}

double flops(const MetricInput& of) {
    return static_cast<double>(of.facts.costs.macs);
}

double params(const MetricInput& of) {
    return static_cast<double>(of.facts.costs.parameters);
}

double memory_peak(const MetricInput& of) {
    return static_cast<double>(of.facts.costs.peak_activation_elements);
}

/// Every metric, in the order of columns and messages. Another one is a row here.
constexpr std::array rows{
    MetricRow{.name = "latency.mean",
              .column = "latency_mean_ms",
              .unit = "ms",
              .value = latency_mean,
              .on_devices = mean_on_devices},
    MetricRow{.name = "latency.worst_cluster",
              .column = "latency_worst_cluster_ms",
              .unit = "ms",
              .value = latency_worst_cluster,
              .on_devices = worst_cluster_on_devices},
    MetricRow{.name = "latency.p50",
              .column = "latency_p50_ms",
              .unit = "ms",
              .value = latency_quantile<50>,
              .on_devices = quantile_on_devices<50>},
    MetricRow{.name = "latency.p95",
              .column = "latency_p95_ms",
              .unit = "ms",
              .value = latency_quantile<95>,
              .on_devices = quantile_on_devices<95>},
    MetricRow{.name = "latency.p99",
              .column = "latency_p99_ms",
              .unit = "ms",
              .value = latency_quantile<99>,
              .on_devices = quantile_on_devices<99>},
    MetricRow{.name = "latency.sla",
              .column = "latency_sla",
              .unit = "1",
              .can_be_relative = false,
              .argument = MetricArgument::milliseconds,
              .highest = 1,
              .value = slower_than_argument,
              .worst = all_devices,
              .on_devices = slower_on_devices},
    MetricRow{.name = "latency.sustained",
              .column = "latency_sustained_ms",
              .unit = "ms",
              .only_where_named = true,
              .quantity = fleet::Quantity::sustained_latency,
              .value = latency_sustained,
              .on_devices = other_mean_on_devices<fleet::Quantity::sustained_latency>},
    MetricRow{.name = "energy.mean",
              .column = "energy_mean_mj",
              .unit = "mJ",
              .only_where_named = true,
              .quantity = fleet::Quantity::energy,
              .value = energy_mean,
              .on_devices = other_mean_on_devices<fleet::Quantity::energy>},
    MetricRow{.name = "accuracy_drop",
              .column = "accuracy_drop",
              .unit = "1",
              .needs_accuracy = true,
              .can_be_relative = false,
              .lowest = -1,
              .highest = 1,
              .value = accuracy_drop,
              .worst = drop_to_chance},
    MetricRow{.name = "accuracy_drop.relative",
              .column = "accuracy_drop_relative",
              .unit = "1",
              .needs_accuracy = true,
              .only_where_named = true,
              .can_be_relative = false,
              .lowest = std::numeric_limits<double>::lowest(),
              .highest = 1,
              .value = relative_accuracy_drop,
              .worst = relative_drop_to_chance},
    MetricRow{.name = "pruning_loss",
              .column = "pruning_loss",
              .unit = "1",
              .only_where_named = true,
              .can_be_relative = false,
              .value = pruning_loss,
              .worst = most_pruning_loss},
    MetricRow{.name = "flops",
              .column = "flops",
              .unit = "MACs",
              .follows_from_costs = true,
              .value = flops},
    MetricRow{.name = "params",
              .column = "params",
              .unit = "parameters",
              .follows_from_costs = true,
              .value = params},
    MetricRow{.name = "memory.peak",
              .column = "memory_peak",
              .unit = "elements",
              .follows_from_costs = true,
              .value = memory_peak},
};

/// How a name is written with its argument.
std::string with_argument(const MetricRow& row, double argument) {
    if (row.argument == MetricArgument::none) return row.name;
    return fmt::format("{}({}ms)", row.name, core::shortest(argument));
}

/// Enough of a user's text to recognise it, whatever was pasted there.
std::string quoted(std::string_view text) {
    constexpr std::size_t longest = 80;
    if (text.size() <= longest) return fmt::format("\"{}\"", text);
    return fmt::format("\"{}...\"", text.substr(0, longest));
}

/// `value` > 0 with its first three digits, not above it.
double rounded_down(double value) {
    const double step = std::pow(10.0, std::floor(std::log10(value)) - 2.0);
    const double digits = std::floor(value / step * (1.0 + 1e-12));
    // By way of its decimal text: 0.636, not 0.6360000000000001.
    const std::string text = fmt::format("{:.3g}", digits * step);
    double rounded = value;
    std::from_chars(text.data(), text.data() + text.size(), rounded);
    return rounded;
}

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/// Reads a metric or a constraint from left to right.
class MetricText {
  public:
    /// `kind` and `examples` are for messages.
    MetricText(const char* kind, const std::string& text, const char* examples)
        : kind_(kind), text_(text), examples_(examples) {}

    Metric metric() {
        const MetricRow& row = row_of_name();
        if (row.argument == MetricArgument::none) return {row, 0};
        if (!accept("("))
            fail(fmt::format("{} needs a latency, as in \"{}\"", row.name, with_argument(row, 33)));
        const std::size_t number_at = skip_blanks();
        const double argument = number("the latency");
        if (!accept("ms")) fail("expected \"ms\"");
        if (!accept(")")) fail("expected \")\"");
        if (argument < fleet::smallest_latency_ms || argument > fleet::largest_latency_ms)
            fail(number_at, fmt::format("the latency must be from {} ms to {} ms",
                                        core::shortest(fleet::smallest_latency_ms),
                                        core::shortest(fleet::largest_latency_ms)));
        return {row, argument};
    }

    Constraint constraint() {
        Constraint constraint{.metric = metric(), .text = text_};
        if (!accept("<=")) fail("expected \"<=\"");
        const std::size_t number_at = skip_blanks();
        constraint.bound = number("the bound");
        constraint.relative = accept("x");
        skip_blanks();
        expect_end("the bound");
        check_bound(constraint, number_at);
        return constraint;
    }

    void expect_end(const char* after) const {
        if (position_ != text_.size()) fail(fmt::format("unexpected text after {}", after));
    }

  private:
    [[noreturn]] void fail(std::size_t position, const std::string& what) const {
        throw core::ConfigError(fmt::format("{} {}, position {}: {}; write for example {}", kind_,
                                            quoted(text_), position + 1, what, examples_));
    }
    [[noreturn]] void fail(const std::string& what) const { fail(position_, what); }

    std::size_t skip_blanks() {
        while (position_ < text_.size() && is_blank(text_[position_]))
            ++position_;
        return position_;
    }

    bool accept(std::string_view token) {
        skip_blanks();
        if (!std::string_view(text_).substr(position_).starts_with(token)) return false;
        position_ += token.size();
        return true;
    }

    const MetricRow& row_of_name() {
        const std::size_t begin = skip_blanks();
        const std::size_t end = std::min(text_.find_first_of(" \t<>=()", begin), text_.size());
        const std::string name = text_.substr(begin, end - begin);
        if (name.empty())
            fail(fmt::format("expected the name of a metric ({})", core::join(metric_names())));
        const auto row = std::ranges::find(rows, std::string_view(name), [](const MetricRow& r) {
            return std::string_view(r.name);
        });
        if (row == rows.end()) fail(unknown(name));
        position_ = end;
        return *row;
    }

    static std::string unknown(const std::string& name) {
        std::vector<std::string> names;
        for (const MetricRow& row : rows)
            names.emplace_back(row.name);
        // Beyond this length nothing is a slip of the pen, and the distance costs its square.
        const std::string hint = name.size() <= 80 ? core::did_you_mean(name, names) : "";
        return fmt::format("unknown metric {}{}; known: {}", quoted(name), hint,
                           core::join(metric_names()));
    }

    double number(const char* what) {
        double value = 0;
        const char* const begin = text_.data() + position_;
        const char* const end = text_.data() + text_.size();
        const auto [rest, status] = std::from_chars(begin, end, value);
        if (status == std::errc::result_out_of_range) fail(fmt::format("{} is out of range", what));
        if (status != std::errc{}) fail("expected a number");
        if (!std::isfinite(value) || value <= 0)
            fail(fmt::format("{} must be a positive number", what));
        position_ += static_cast<std::size_t>(rest - begin);
        return value;
    }

    void check_bound(const Constraint& constraint, std::size_t at) const {
        const Metric& metric = constraint.metric;
        if (constraint.relative && !metric.can_be_relative())
            fail(at, fmt::format("{} cannot be relative, as the unpruned network's may be 0",
                                 metric.name()));
        if (!constraint.relative && constraint.bound > metric.highest())
            fail(at, fmt::format("{} is at most {} (a share is from 0 to 1, not per cent)",
                                 metric.name(), core::shortest(metric.highest())));
    }

    const char* kind_;
    const std::string& text_;
    const char* examples_;
    std::size_t position_ = 0;
};

} // namespace

std::vector<std::string> metric_names() {
    std::vector<std::string> names;
    for (const MetricRow& row : rows)
        names.push_back(with_argument(row, 33));
    return names;
}

std::string Metric::name() const {
    return with_argument(*row_, argument_);
}

std::string Metric::column() const {
    if (row_->argument == MetricArgument::none) return row_->column;
    return fmt::format("{}_{}ms", row_->column, core::shortest(argument_));
}

std::string_view Metric::unit() const {
    return row_->unit;
}

bool Metric::needs_accuracy() const {
    return row_->needs_accuracy;
}

fleet::Quantity Metric::quantity() const {
    return row_->quantity;
}

bool Metric::follows_from_costs() const {
    return row_->follows_from_costs;
}

bool Metric::follows_from_latencies() const {
    return row_->on_devices != nullptr;
}

double Metric::lowest() const {
    return row_->lowest;
}

double Metric::highest() const {
    return row_->highest;
}

bool Metric::can_be_relative() const {
    return row_->can_be_relative;
}

double Metric::value(const CandidateFacts& facts, const CandidateFacts& reference,
                     const fleet::FleetDistribution& fleet) const {
    return row_->value({facts, reference, fleet, argument_});
}

double Metric::value_on_devices(const DeviceLatencies& latencies) const {
    if (!follows_from_latencies())
        throw core::InternalError(fmt::format("{} does not follow from latencies", name()));
    if (latencies.device_ms.empty() || latencies.cluster_mean_ms.empty())
        throw core::InternalError(fmt::format("{} on no devices", name()));
    return row_->on_devices(latencies, argument_);
}

Metric Metric::with_margin(double margin) const {
    if (row_->argument == MetricArgument::none) return *this;
    return {*row_, rounded_down(argument_ / (1.0 + margin))};
}

double Metric::worst(const CandidateFacts& reference, const fleet::FleetDistribution& fleet,
                     double chance_accuracy) const {
    if (row_->worst == nullptr) return value(reference, reference, fleet);
    return row_->worst({reference, reference, fleet, argument_}, chance_accuracy);
}

std::vector<Metric> plain_metrics() {
    std::vector<Metric> metrics;
    for (const MetricRow& row : rows)
        if (row.argument == MetricArgument::none && !row.only_where_named)
            metrics.emplace_back(row, 0);
    return metrics;
}

Metric parse_metric(const std::string& name) {
    MetricText text("metric", name, "\"flops\" or \"latency.sla(33ms)\"");
    const Metric metric = text.metric();
    text.expect_end("the metric");
    return metric;
}

Constraint parse_constraint(const std::string& text) {
    return MetricText("constraint", text, "\"flops <= 0.5x\" or \"latency.mean <= 12.5\"")
        .constraint();
}

Constraint with_margin(const Constraint& constraint, double margin) {
    if (!constraint.metric.follows_from_latencies() || !(margin >= 0))
        throw core::InternalError(
            fmt::format("a margin of {} for {}", margin, quoted(constraint.text)));
    Constraint safer = constraint;
    safer.metric = constraint.metric.with_margin(margin);
    // Where the argument is a latency, the bound is not one.
    if (safer.metric == constraint.metric)
        safer.bound = rounded_down(constraint.bound / (1.0 + margin));
    safer.text = fmt::format("{} <= {}{}", safer.metric.name(), core::shortest(safer.bound),
                             safer.relative ? "x" : "");
    return safer;
}

double limit(const Constraint& constraint, double reference) {
    if (!constraint.relative) return constraint.bound;
    if (!std::isfinite(reference) || reference <= 0)
        throw core::InternalError(fmt::format(
            "constraint {}: the reference's {} is {}, not positive", quoted(constraint.text),
            constraint.metric.name(), core::shortest(reference)));
    return constraint.bound * reference;
}

double violation(const Constraint& constraint, double value, double reference) {
    if (std::isnan(value))
        throw core::InternalError(
            fmt::format("a candidate's {} is not a number", constraint.metric.name()));
    const double most = limit(constraint, reference);
    // Compared before dividing: rounding must not turn a met bound into a violation.
    return value <= most ? 0.0 : (value - most) / most;
}

} // namespace hdap::search

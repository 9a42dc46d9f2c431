#include "hdap/search/objectives.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <charconv>
#include <cmath>
#include <string_view>
#include <vector>

namespace hdap::search {

namespace {

/// Enough of a user's text to recognise it, whatever was pasted there.
std::string quoted(std::string_view text) {
    constexpr std::size_t longest = 80;
    if (text.size() <= longest) return '"' + std::string(text) + '"';
    return '"' + std::string(text.substr(0, longest)) + "...\"";
}

std::vector<std::string> known_names() {
    std::vector<std::string> names;
    for (const Figure figure : all_figures)
        names.push_back(name_of(figure));
    return names;
}

bool is_blank(char c) {
    return c == ' ' || c == '\t';
}

/// Reads a constraint from left to right.
class ConstraintText {
  public:
    explicit ConstraintText(const std::string& text) : text_(text) {}

    Constraint parse() {
        Constraint constraint;
        constraint.text = text_;
        constraint.figure = figure();
        if (!accept("<=")) fail("expected \"<=\"");
        const std::size_t number_at = skip_blanks();
        constraint.bound = number();
        constraint.relative = accept("x");
        if (skip_blanks() != text_.size()) fail("unexpected text after the bound");
        position_ = number_at;
        check_bound(constraint);
        return constraint;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw core::ConfigError("constraint " + quoted(text_) + ", position " +
                                std::to_string(position_ + 1) + ": " + what +
                                "; write for example \"flops <= 0.5x\" or \"latency.mean <= "
                                "12.5\"");
    }

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

    Figure figure() {
        const std::size_t begin = skip_blanks();
        std::size_t end = begin;
        while (end < text_.size() && !is_blank(text_[end]) &&
               std::string_view("<>=").find(text_[end]) == std::string_view::npos)
            ++end;
        if (begin == end) fail("expected the name of a figure (" + core::join(known_names()) + ")");
        try {
            const Figure parsed = parse_figure(text_.substr(begin, end - begin));
            position_ = end;
            return parsed;
        } catch (const core::ConfigError& error) {
            fail(error.what());
        }
    }

    double number() {
        double value = 0;
        const char* const begin = text_.data() + position_;
        const char* const end = text_.data() + text_.size();
        const auto [rest, status] = std::from_chars(begin, end, value);
        if (status == std::errc::result_out_of_range) fail("the bound is out of range");
        if (status != std::errc{}) fail("expected a number");
        position_ += static_cast<std::size_t>(rest - begin);
        return value;
    }

    void check_bound(const Constraint& constraint) const {
        if (!std::isfinite(constraint.bound) || constraint.bound <= 0)
            fail("the bound must be a positive number");
        if (constraint.figure != Figure::accuracy_drop) return;
        if (constraint.relative)
            fail("accuracy_drop cannot be relative, as the unpruned network's is 0");
        if (constraint.bound > 1) fail("accuracy_drop is a share from 0 to 1, not per cent");
    }

    const std::string& text_;
    std::size_t position_ = 0;
};

} // namespace

std::string name_of(Figure figure) {
    switch (figure) {
    case Figure::latency_mean:
        return "latency.mean";
    case Figure::latency_worst_cluster:
        return "latency.worst_cluster";
    case Figure::accuracy_drop:
        return "accuracy_drop";
    case Figure::flops:
        return "flops";
    case Figure::params:
        return "params";
    case Figure::memory_peak:
        return "memory.peak";
    }
    throw core::InternalError("a figure has no name");
}

Figure parse_figure(const std::string& name) {
    const std::vector<std::string> known = known_names();
    for (std::size_t i = 0; i < known.size(); ++i)
        if (known[i] == name) return all_figures[i];
    // Beyond this length nothing is a slip of the pen, and the distance costs its square.
    const std::string hint = name.size() <= 80 ? core::did_you_mean(name, known) : "";
    throw core::ConfigError("unknown figure " + quoted(name) + hint + "; known are " +
                            core::join(known));
}

double value_of(const CandidateFigures& figures, Figure figure) {
    switch (figure) {
    case Figure::latency_mean:
        return figures.latency_mean_ms;
    case Figure::latency_worst_cluster:
        return figures.latency_worst_cluster_ms;
    case Figure::accuracy_drop:
        return figures.accuracy_drop;
    case Figure::flops:
        return figures.flops;
    case Figure::params:
        return figures.params;
    case Figure::memory_peak:
        return figures.memory_peak;
    }
    throw core::InternalError("a figure has no value");
}

Constraint parse_constraint(const std::string& text) {
    return ConstraintText(text).parse();
}

double violation(const Constraint& constraint, const CandidateFigures& figures,
                 const CandidateFigures& unpruned) {
    const double value = value_of(figures, constraint.figure);
    if (std::isnan(value)) {
        throw core::InternalError("a candidate's " + name_of(constraint.figure) +
                                  " is not a number");
    }
    double limit = constraint.bound;
    if (constraint.relative) {
        const double whole = value_of(unpruned, constraint.figure);
        if (!std::isfinite(whole) || whole <= 0) {
            throw core::InternalError("constraint " + quoted(constraint.text) +
                                      ": the unpruned network's " + name_of(constraint.figure) +
                                      " is " + core::shortest(whole) + ", not positive");
        }
        limit *= whole;
    }
    // Compared before dividing: rounding must not turn a met bound into a violation.
    return value <= limit ? 0.0 : (value - limit) / limit;
}

double total_violation(std::span<const Constraint> constraints, const CandidateFigures& figures,
                       const CandidateFigures& unpruned) {
    double total = 0;
    for (const Constraint& constraint : constraints)
        total += violation(constraint, figures, unpruned);
    return total;
}

} // namespace hdap::search

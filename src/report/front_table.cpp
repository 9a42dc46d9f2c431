#include "hdap/core/text.hpp"
#include "hdap/report/holds.hpp"
#include "metric_text.hpp"
#include "network_columns.hpp"
#include "verdict.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <string_view>

namespace hdap::report {
namespace {

/// Breaks `text` at blanks into lines of at most `width` columns.
std::string wrapped(const std::string& text, std::size_t width) {
    std::string result;
    std::size_t column = 0;
    for (std::size_t start = 0; start < text.size();) {
        const std::size_t end = std::min(text.find(' ', start), text.size());
        const std::string word = text.substr(start, end - start);
        if (column > 0 && column + 1 + core::display_width(word) > width) {
            result += '\n';
            column = 0;
        } else if (column > 0) {
            result += ' ';
            ++column;
        }
        result += word;
        column += core::display_width(word);
        start = end + 1;
    }
    return result + "\n";
}

constexpr std::size_t terminal_width = 100;
constexpr std::size_t indent = 2;
constexpr std::size_t gap = 3;

/// The columns that a column of numbers takes, with the gap before it.
std::size_t table_width_of(const NetworkColumn& column) {
    std::size_t width =
        std::max(core::display_width(column.heading), core::display_width(column.unit));
    for (std::size_t i = 0; i < column.values.size(); ++i)
        width = std::max(width, core::display_width(cell_text(column, i)));
    return width + gap;
}

std::size_t table_width_of(const std::vector<NetworkColumn>& columns) {
    std::size_t width = 0;
    for (const NetworkColumn& column : columns)
        width += table_width_of(column);
    return width;
}

/// Those of all networks' columns that fit beside their names.
std::vector<NetworkColumn> fitting_columns(const StudyReport& report, std::size_t id_width) {
    for (std::size_t extra = extra_metrics(report).size(); extra > 0; --extra) {
        std::vector<NetworkColumn> columns = terminal_columns(report, extra);
        if (indent + id_width + table_width_of(columns) <= terminal_width) return columns;
    }
    return terminal_columns(report, 0);
}

std::size_t id_width_of(const StudyReport& report) {
    std::size_t width = 12;
    for (const NetworkRow& row : report.networks)
        width = std::max(width, core::display_width(core::printable(row.id)) + indent);
    return width;
}

/// Lays the rows out below each other.
class TableWriter {
  public:
    explicit TableWriter(const StudyReport& report)
        : report_(report), id_width_(id_width_of(report)),
          columns_(fitting_columns(report, id_width_)) {}

    void add_head() {
        add_line("", [](const NetworkColumn& column) { return column.heading; });
        add_line("network", [](const NetworkColumn& column) { return column.unit; });
        text_ += std::string(indent, ' ');
        for (std::size_t i = 0; i < id_width_ + table_width_of(columns_); ++i)
            text_ += "─";
        text_ += "\n";
    }

    void add_group(const std::string& heading, const std::vector<const NetworkRow*>& rows) {
        if (rows.empty()) return;
        text_ += "\n  " + heading + "\n";
        for (const NetworkRow* row : rows)
            add_row(*row, "  ");
    }

    void add_row(const NetworkRow& row, const std::string& indentation) {
        const auto network = static_cast<std::size_t>(&row - report_.networks.data());
        add_line(indentation + core::printable(row.id),
                 [&](const NetworkColumn& column) { return cell_text(column, network); });
    }

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

  private:
    /// A line with `first` and what `cell` says for each column.
    template <typename Cell>
    void add_line(const std::string& first, Cell cell) {
        std::string line = std::string(indent, ' ') + core::padded_right(first, id_width_);
        for (const NetworkColumn& column : columns_)
            line += core::padded_left(core::printable(cell(column)), table_width_of(column));
        line.erase(line.find_last_not_of(' ') + 1);
        text_ += line + "\n";
    }

    const StudyReport& report_;
    std::size_t id_width_;
    std::vector<NetworkColumn> columns_;
    std::string text_;
};

std::vector<const NetworkRow*> rows_of(const StudyReport& report, NetworkKind kind) {
    std::vector<const NetworkRow*> rows;
    for (const NetworkRow& row : report.networks)
        if (row.kind == kind) rows.push_back(&row);
    return rows;
}

/// At most `most` rows, evenly spread from the first to the last.
std::vector<const NetworkRow*> thinned(const std::vector<const NetworkRow*>& rows,
                                       std::size_t most) {
    if (rows.size() <= most) return rows;
    std::vector<const NetworkRow*> chosen;
    for (std::size_t i = 0; i < most; ++i)
        chosen.push_back(rows[most == 1 ? 0 : i * (rows.size() - 1) / (most - 1)]);
    return chosen;
}

/// Puts `row` in the place of the nearest of `chosen`.
void include(const NetworkRow* row, std::vector<const NetworkRow*>& chosen) {
    if (chosen.empty() || std::ranges::find(chosen, row) != chosen.end()) return;
    *std::ranges::min_element(chosen, {},
                              [&](const NetworkRow* other) { return std::abs(other - row); }) = row;
}

/// At most `most` of `rows`: where a bound is doubtful the best one, and rather those that break no
/// constraint.
std::vector<const NetworkRow*>
chosen_of(const StudyReport& report, const std::vector<const NetworkRow*>& rows, std::size_t most) {
    if (rows.size() <= most || !has_doubtful_bounds(report)) return thinned(rows, most);
    std::vector<const NetworkRow*> usable;
    std::vector<const NetworkRow*> broken;
    for (const NetworkRow* row : rows)
        (holds(report, *row) == Holds::no ? broken : usable).push_back(row);
    std::vector<const NetworkRow*> chosen = thinned(usable, most);
    const auto filling = thinned(broken, most - chosen.size());
    chosen.insert(chosen.end(), filling.begin(), filling.end());
    const NetworkRow* const best = verdict(report).best;
    if (std::ranges::find(rows, best) != rows.end()) include(best, chosen);
    std::ranges::sort(chosen); // the order of the front: all are of one vector
    return chosen;
}

std::string title(const StudyReport& report) {
    return wrapped(fmt::format("{}: {} on {} ({}) in {}", core::printable(report.study_name),
                               core::printable(report.network_name),
                               core::counted(report.devices, "device"), core::printable(report.sku),
                               core::counted(report.clusters.size(), "cluster")),
                   terminal_width);
}

/// What is known of accuracies, and how.
std::string accuracy_caption(const StudyReport& report) {
    const std::string data =
        report.data_name.empty() ? "" : fmt::format(" on {}", core::printable(report.data_name));
    const bool held_out = knows(report, &NetworkRow::accuracy);
    const bool test = knows(report, &NetworkRow::test_accuracy);
    if (held_out && test)
        return fmt::format("Accuracy: top-1{}, on held-out images before fine-tuning and on test "
                           "images after it.",
                           data);
    if (held_out)
        return fmt::format("Accuracy: top-1{}, on held-out images before fine-tuning.", data);
    if (test)
        return fmt::format("Accuracy: top-1{}, on test images after fine-tuning; the search "
                           "measured none.",
                           data);
    return "No accuracy was measured in this study.";
}

/// Of whom the latencies are.
std::string latency_caption(const StudyReport& report) {
    if (!fleet_latency_known(report))
        return "predicted by the surrogates" +
               (knows(report, &NetworkRow::latency_fleet_ms)
                    ? fmt::format("; of some networks {}.", found_devices_text(report))
                    : ".");
    const bool others = std::ranges::any_of(extra_metrics(report), [&](const std::string& name) {
        return text_of(report, name).predicted;
    });
    return found_devices_text(report) +
           (others ? "; other latencies predicted by the surrogates." : ".");
}

std::string caption(const StudyReport& report) {
    return wrapped(
        fmt::format("Latency: {} per inference, mean over {}, {} MACs: per image, and in "
                    "% of the unpruned network. {} {}",
                    core::counted(report.batch, "image"), core::counted(report.devices, "device"),
                    latency_caption(report), accuracy_caption(report), failures_text(report)),
        terminal_width);
}

} // namespace

std::string front_table(const StudyReport& report, std::size_t most_rows) {
    check(report);
    std::vector<const NetworkRow*> others = rows_of(report, NetworkKind::front);
    const auto middle = std::stable_partition(others.begin(), others.end(),
                                              [](const NetworkRow* row) { return row->finetuned; });
    const std::vector<const NetworkRow*> finetuned(others.begin(), middle);
    others.erase(others.begin(), middle);
    const auto shown = chosen_of(report, others, most_rows);

    TableWriter table(report);
    table.add_head();
    table.add_row(report.networks.front(), "");
    table.add_group("rounds, each from the one before", rows_of(report, NetworkKind::round));
    table.add_group("front, fine-tuned", finetuned);
    std::string heading = "front, not fine-tuned";
    if (shown.size() < others.size())
        heading += fmt::format(" ({} of {}, all are in front.csv)", shown.size(), others.size());
    table.add_group(heading, shown);
    table.add_group("uniform width", rows_of(report, NetworkKind::uniform));
    const std::string who_holds = holds_text(report);
    return title(report) + "\n" + table.text() + "\n" +
           (who_holds.empty() ? "" : wrapped(core::printable(who_holds), terminal_width) + "\n") +
           caption(report);
}

} // namespace hdap::report

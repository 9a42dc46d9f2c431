#include "figures.hpp"
#include "hdap/core/text.hpp"
#include "number_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>
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
constexpr std::size_t figure_columns = 6;
using Cells = std::array<std::string, figure_columns>;
constexpr std::array<std::size_t, figure_columns> widths{14, 11, 12, 10, 13, 13};

/// Lays the rows out below each other.
class TableWriter {
  public:
    explicit TableWriter(const StudyReport& report)
        : report_(report), fleet_known_(fleet_latency_known(report)) {
        double largest = 0.0;
        for (const NetworkRow& row : report.networks) {
            id_width_ = std::max(id_width_, core::display_width(core::printable(row.id)) + 2);
            const double latency = shown_latency_ms(row, fleet_known_);
            if (std::isfinite(latency)) largest = std::max(largest, latency);
        }
        latency_decimals_ = decimals_for(largest);
    }

    void add_head() {
        add_line("", {"mean latency", "speed-up", "MACs", "MACs", "accuracy", "accuracy"});
        add_line("network", {"ms", "", "M", "%", "held-out, %", "test, %"});
        std::size_t width = id_width_;
        for (const std::size_t column : widths)
            width += column;
        text_ += "  ";
        for (std::size_t i = 0; i < width; ++i)
            text_ += "─";
        text_ += "\n";
    }

    void add_group(const std::string& heading, const std::vector<const NetworkRow*>& rows) {
        if (rows.empty()) return;
        text_ += "\n  " + heading + "\n";
        for (const NetworkRow* row : rows)
            add_row(*row, "  ");
    }

    void add_row(const NetworkRow& row, const std::string& indent) {
        const double share = row.flops / report_.networks.front().flops;
        const std::string speedup = fixed(row.speedup, 2);
        add_line(indent + core::printable(row.id),
                 {fixed(shown_latency_ms(row, fleet_known_), latency_decimals_),
                  std::isfinite(row.speedup) ? speedup + "x" : speedup, fixed(row.flops / 1e6, 1),
                  fixed(100.0 * share, 0), fixed(100.0 * row.accuracy, 2),
                  fixed(100.0 * row.test_accuracy, 2)});
    }

    [[nodiscard]] const std::string& text() const noexcept { return text_; }

  private:
    void add_line(const std::string& first, const Cells& cells) {
        std::string line = "  " + core::padded_right(first, id_width_);
        for (std::size_t i = 0; i < cells.size(); ++i)
            line += core::padded_left(cells[i], widths[i]);
        line.erase(line.find_last_not_of(' ') + 1);
        text_ += line + "\n";
    }

    const StudyReport& report_;
    bool fleet_known_;
    std::size_t id_width_ = 12;
    int latency_decimals_ = 2;
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

std::string title(const StudyReport& report) {
    return wrapped(
        core::printable(report.study_name) + ": " + core::printable(report.network_name) + " on " +
            counted(report.devices, "device") + " (" + core::printable(report.sku) + ") in " +
            counted(static_cast<std::int64_t>(report.clusters.size()), "cluster"),
        terminal_width);
}

std::string caption(const StudyReport& report) {
    std::string text = "Latency: " + counted(report.batch, "image") + " an inference, mean over " +
                       counted(report.devices, "device") + ", ";
    text += fleet_latency_known(report) ? how_simulated(report) + "."
                                        : std::string("predicted by the surrogates.");
    text += " MACs: for one image, and in % of the unpruned network. Accuracy: top-1";
    if (!report.data_name.empty()) text += " on " + core::printable(report.data_name);
    text += ", on held-out images before fine-tuning and on test images after it.";
    return wrapped(text, terminal_width);
}

} // namespace

std::string front_table(const StudyReport& report, std::size_t most_rows) {
    check(report);
    std::vector<const NetworkRow*> others = rows_of(report, NetworkKind::front);
    const auto middle = std::stable_partition(others.begin(), others.end(),
                                              [](const NetworkRow* row) { return row->finetuned; });
    const std::vector<const NetworkRow*> finetuned(others.begin(), middle);
    others.erase(others.begin(), middle);
    const auto shown = thinned(others, most_rows);

    TableWriter table(report);
    table.add_head();
    table.add_row(report.networks.front(), "");
    table.add_group("front, fine-tuned", finetuned);
    std::string heading = "front, not fine-tuned";
    if (shown.size() < others.size())
        heading += " (" + std::to_string(shown.size()) + " of " + std::to_string(others.size()) +
                   ", all are in front.csv)";
    table.add_group(heading, shown);
    table.add_group("uniform width", rows_of(report, NetworkKind::uniform));
    return title(report) + "\n" + table.text() + "\n" + caption(report);
}

} // namespace hdap::report

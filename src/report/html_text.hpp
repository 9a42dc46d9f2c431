#pragma once

#include <span>
#include <string>
#include <string_view>

namespace hdap::report {

/// Text as HTML shows it literally, in elements and in quoted attributes.
std::string escaped(std::string_view text);

std::string strong(const std::string& html);

/// A table cell; `value` is what report.js sorts by.
std::string number_cell(double value, const std::string& html);

/// Of a table, in plain text.
struct Heading {
    std::string name;
    std::string unit;
};

/// The head of a table whose first column is text and whose others are numbers.
std::string table_head(std::span<const Heading> headings);

} // namespace hdap::report

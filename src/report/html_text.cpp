#include "html_text.hpp"

#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <cmath>

namespace hdap::report {

std::string escaped(std::string_view text) {
    std::string result;
    for (const char letter : text) {
        switch (letter) {
        case '&':
            result += "&amp;";
            break;
        case '<':
            result += "&lt;";
            break;
        case '>':
            result += "&gt;";
            break;
        case '"':
            result += "&quot;";
            break;
        case '\'':
            result += "&#39;";
            break;
        default:
            result += letter;
        }
    }
    return result;
}

std::string strong(const std::string& html) {
    return fmt::format("<strong>{}</strong>", html);
}

std::string number_cell(double value, const std::string& html) {
    std::string attributes = "class=\"number\"";
    if (std::isfinite(value))
        attributes += fmt::format(" data-value=\"{}\"", core::shortest(value));
    return fmt::format("<td {}>{}</td>", attributes, html);
}

std::string table_head(std::span<const Heading> headings) {
    std::string html = "<thead><tr>";
    for (const Heading& heading : headings) {
        const bool is_text = &heading == &headings.front();
        html += is_text ? "<th scope=\"col\">" : "<th scope=\"col\" class=\"number\">";
        html += escaped(heading.name);
        if (!heading.unit.empty())
            html += fmt::format("<span class=\"unit\">{}</span>", escaped(heading.unit));
        html += "</th>";
    }
    return html + "</tr></thead>\n";
}

} // namespace hdap::report

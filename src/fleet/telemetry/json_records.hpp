#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <istream>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace hdap::fleet {

/// A key of a JSON object and its value.
struct JsonField {
    std::string key; ///< "args.op_name" of an object in the object
    /// Nothing: null, or what is none of the others.
    std::variant<std::monostate, bool, double, std::string, std::vector<double>> value;
};

/// A JSON object, of which only what telemetry needs is kept.
class JsonRecord {
  public:
    std::int64_t line = 1; ///< of its file, where it ends
    std::vector<JsonField> fields{};
    std::string problem{}; ///< why it cannot be used; empty for what can

    /// Throws BadLine when it cannot be used.
    void check() const;
    /// The field of that key; nothing without it, or when it is null. Throws BadLine for a key that
    /// is there twice.
    [[nodiscard]] const JsonField* find(std::string_view key) const;
    /// Its number. Throws BadLine for another value.
    [[nodiscard]] std::optional<double> number(std::string_view key) const;
    /// Its text; nothing for another value.
    [[nodiscard]] std::optional<std::string> text(std::string_view key) const;
};

/// How a list of JSON objects ended.
enum class JsonEnd {
    closed,           ///< by its bracket
    between_elements, ///< without it, behind a whole element
    within_element,   ///< in the middle of one
};

/// Gives the elements of a JSON list to `use`, one after another, in memory for one of them. What
/// is deeper than `levels` objects within an element is left out. Throws DataError, which begins
/// with "name:line: ", for what is no JSON list, and for a value of more than 1 MiB.
JsonEnd read_json_list(std::istream& input, const std::string& name, std::size_t levels,
                       const std::function<void(const JsonRecord&)>& use);

/// The one object that a file is; `problem` is set where it is another value.
/// Throws DataError as read_json_list, and when it is cut.
JsonRecord read_json_object(std::istream& input, const std::string& name, std::size_t levels);

/// The object that `text` is. Throws BadLine for other text.
JsonRecord parse_json_object(std::string_view text, std::size_t levels);

} // namespace hdap::fleet

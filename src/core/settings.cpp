#include "hdap/core/settings.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>
#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <sstream>
#include <type_traits>

namespace hdap::core {
namespace {

template <class T>
std::string number_text(T value) {
    if constexpr (std::is_floating_point_v<T>) {
        std::string text = shortest(value);
        // TOML tells reals from integers by the point or the exponent.
        if (text.find_first_of(".en") == std::string::npos) text += ".0";
        return text;
    } else {
        return std::to_string(value);
    }
}

template <class T>
std::string range_text(const Range<T>& range) {
    const bool below = range.minimum != std::numeric_limits<T>::lowest();
    const bool above = range.maximum != std::numeric_limits<T>::max();
    if (!below && !above) return "";
    return std::string(below && !range.open_minimum ? "[" : "(") +
           (below ? number_text(range.minimum) : "-∞") + ", " +
           (above ? number_text(range.maximum) + "]" : "∞)");
}

/// A TOML basic string.
std::string quoted(const std::string& text) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            result += {'\\', c};
        } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            constexpr std::string_view digits = "0123456789abcdef";
            result += "\\u00";
            result += {digits[static_cast<unsigned char>(c) >> 4], digits[c & 15]};
        } else {
            result += c;
        }
    }
    return result + "\"";
}

template <class T, class TextOf>
std::string list_text(const std::vector<T>& list, const TextOf& text_of) {
    std::vector<std::string> words(list.size());
    std::transform(list.begin(), list.end(), words.begin(), text_of);
    return "[" + join(words) + "]";
}

/// Words that may be chosen from; an empty one is shown in quotes.
std::string choices_text(std::vector<std::string> choices, std::string_view separator) {
    std::ranges::replace(choices, std::string(), quoted(""));
    return join(choices, separator);
}

/// A TOML document and where it came from.
struct Document {
    toml::table table;
    std::string name;
    bool from_file = true;

    [[nodiscard]] std::string where(const toml::node& node) const {
        if (!from_file) return name;
        return name + ":" + std::to_string(node.source().begin.line);
    }
};

/// Puts what a document says about a setting into its field.
class Loader {
  public:
    /// `name`: "section.key".
    Loader(const Document& document, std::string name, const toml::node& node)
        : document_(document), name_(std::move(name)), node_(node) {}

    void operator()(const IntegerField& field) const {
        if (!node_.is_integer()) fail("is not an integer" + allowed(field.range));
        const std::int64_t value = **node_.as_integer();
        check_range(value, field.range);
        *field.value = value;
    }

    void operator()(const RealField& field) const { *field.value = number(node_, field.range); }

    void operator()(const BooleanField& field) const {
        if (!node_.is_boolean()) fail("is neither true nor false");
        *field.value = **node_.as_boolean();
    }

    void operator()(const TextField& field) const {
        const std::string value = text();
        if (!field.choices.empty()) check_known(value, field.choices);
        *field.value = value;
    }

    void operator()(const PathField& field) const { *field.value = text(); }

    void operator()(const TextListField& field) const {
        const toml::array* array = node_.as_array();
        if (array == nullptr || (!array->empty() && !array->is_homogeneous<std::string>()))
            fail("is not a list of texts, like [\"a\", \"b\"]");
        field.value->clear();
        for (const toml::node& entry : *array)
            field.value->push_back(**entry.as_string());
    }

    void operator()(const RealListField& field) const {
        std::vector<double> numbers;
        if (const toml::array* array = node_.as_array())
            for (const toml::node& entry : *array)
                numbers.push_back(number(entry, field.range));
        else
            numbers.push_back(number(node_, field.range));
        *field.value = std::move(numbers);
    }

    void operator()(const ChoiceField& field) const {
        const std::string value = text();
        check_known(value, field.names);
        const auto found = std::find(field.names.begin(), field.names.end(), value);
        field.set(static_cast<std::size_t>(found - field.names.begin()));
    }

  private:
    template <class T>
    static std::string allowed(const Range<T>& range) {
        const std::string text = range_text(range);
        return text.empty() ? "" : "; allowed: " + text;
    }

    template <class T>
    void check_range(T value, const Range<T>& range) const {
        if (!range.contains(value)) fail("is out of range" + allowed(range));
    }

    [[nodiscard]] double number(const toml::node& node, const Range<double>& range) const {
        if (!node.is_number()) fail("is not a number" + allowed(range));
        const double value = *node.value<double>();
        if (!std::isfinite(value)) fail("is not a finite number" + allowed(range));
        check_range(value, range);
        return value;
    }

    [[nodiscard]] std::string text() const {
        if (!node_.is_string()) fail("is not a text in quotes");
        return **node_.as_string();
    }

    void check_known(const std::string& value, const std::vector<std::string>& choices) const {
        if (std::find(choices.begin(), choices.end(), value) == choices.end())
            fail("is unknown" + did_you_mean(value, choices) +
                 "; known: " + choices_text(choices, ", "));
    }

    [[noreturn]] void fail(const std::string& what) const {
        std::ostringstream value;
        node_.visit([&](const auto& concrete) { value << concrete; });
        throw ConfigError(
            fmt::format("{}: {} = {} {}", document_.where(node_), name_, value.str(), what));
    }

    const Document& document_;
    std::string name_;
    const toml::node& node_;
};

/// What an unknown key was meant to be: one of its name elsewhere, or else the nearest.
std::string meant_key(const std::string& unknown, const std::vector<std::string>& known) {
    const std::string word = unknown.substr(unknown.rfind('.') + 1);
    std::vector<std::string> namesakes;
    for (const std::string& key : known)
        if (key == word)
            namesakes.push_back(fmt::format("'{}' above all sections", key));
        else if (key.ends_with("." + word))
            namesakes.push_back(fmt::format("'{}'", key));
    if (namesakes.empty()) return did_you_mean(unknown, known);
    return fmt::format(" (did you mean {}?)", join(namesakes, " or "));
}

/// Throws when the document has a key that no setting owns.
void refuse_unknown_keys(const Document& document, const std::vector<std::string>& known) {
    std::vector<std::string> sections;
    for (const std::string& key : known)
        if (const std::size_t dot = key.rfind('.'); dot != std::string::npos)
            sections.push_back(key.substr(0, dot));
    const auto is_section = [&](const std::string& path) {
        return std::any_of(sections.begin(), sections.end(), [&](const std::string& section) {
            return section == path || section.starts_with(path + ".");
        });
    };
    const std::function<void(const toml::table&, const std::string&)> walk =
        [&](const toml::table& table, const std::string& prefix) {
            for (const auto& [name, node] : table) {
                const std::string path = prefix + std::string(name.str());
                if (node.is_table() && is_section(path)) {
                    walk(*node.as_table(), path + ".");
                    continue;
                }
                if (std::find(known.begin(), known.end(), path) != known.end()) continue;
                const std::string what = node.is_table() ? "section" : "key";
                const std::string meant =
                    node.is_table() ? did_you_mean(path, sections) : meant_key(path, known);
                throw ConfigError(
                    fmt::format("{}: unknown {} '{}'{}; hdap run --print-config shows all",
                                document.where(node), what, path, meant));
            }
        };
    walk(document.table, "");
}

Document parse_document(const std::string& text, const std::string& file_name) {
    try {
        return {toml::parse(text, file_name), file_name, true};
    } catch (const toml::parse_error& error) {
        throw ConfigError(file_name + ":" + std::to_string(error.source().begin.line) + ":" +
                          std::to_string(error.source().begin.column) +
                          ": not valid TOML: " + std::string(error.description()));
    }
}

/// An override reads as a line of TOML; a bare word stands for a text, so that a shell needs no
/// quotes within quotes.
Document parse_override(const std::string& text) {
    const std::string name = "--set " + text;
    const std::size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0)
        throw ConfigError(name + ": expected KEY=VALUE, e.g. --set search.population=32");
    const std::string key = text.substr(0, equals);
    const std::string value = text.substr(equals + 1);
    for (const std::string& candidate : {value, quoted(value)}) {
        try {
            return {toml::parse(key + " = " + candidate), name, false};
        } catch (const toml::parse_error&) {
            continue;
        }
    }
    throw ConfigError(name + ": cannot be read; expected KEY=VALUE, e.g. " +
                      "--set search.population=32");
}

/// A setting's value as TOML writes it.
struct ValueText {
    std::string operator()(const IntegerField& field) const { return number_text(*field.value); }
    std::string operator()(const RealField& field) const { return number_text(*field.value); }
    std::string operator()(const BooleanField& field) const {
        return *field.value ? "true" : "false";
    }
    std::string operator()(const TextField& field) const { return quoted(*field.value); }
    std::string operator()(const PathField& field) const { return quoted(*field.value); }
    std::string operator()(const TextListField& field) const {
        return list_text(*field.value, quoted);
    }
    std::string operator()(const RealListField& field) const {
        return list_text(*field.value, number_text<double>);
    }
    std::string operator()(const ChoiceField& field) const {
        return quoted(field.names[field.get()]);
    }
};

/// The values that a setting may have; empty where its kind says it all.
struct AllowedText {
    std::string operator()(const IntegerField& field) const { return range_text(field.range); }
    std::string operator()(const RealField& field) const { return range_text(field.range); }
    std::string operator()(const BooleanField&) const { return ""; }
    std::string operator()(const TextField& field) const {
        return choices_text(field.choices, " | ");
    }
    std::string operator()(const PathField&) const { return ""; }
    std::string operator()(const TextListField&) const { return ""; }
    std::string operator()(const RealListField& field) const { return range_text(field.range); }
    std::string operator()(const ChoiceField& field) const { return join(field.names, " | "); }
};

std::vector<std::string> names_of(const Configuration& configuration) {
    std::vector<std::string> names;
    for (const Section& section : configuration)
        for (const Setting& setting : section.settings)
            names.push_back(name_of(section, setting));
    return names;
}

void load_document(const Configuration& configuration, const Document& document) {
    refuse_unknown_keys(document, names_of(configuration));
    for (const Section& section : configuration)
        for (const Setting& setting : section.settings) {
            const std::string name = name_of(section, setting);
            if (const toml::node* node = document.table.at_path(name).node())
                std::visit(Loader(document, name, *node), setting.field);
        }
}

/// A setting's value as far as it shapes outputs.
std::string canonical_value(const Setting& setting) {
    const auto* path = std::get_if<PathField>(&setting.field);
    return path != nullptr && !path->value->empty() ? "a file" : value_text(setting);
}

/// Name and canonical value of the settings that shape any of `outputs`.
std::vector<std::pair<std::string, std::string>>
canonical_values(const Configuration& configuration, Outputs outputs) {
    std::vector<std::pair<std::string, std::string>> values;
    for (const Section& section : configuration)
        for (const Setting& setting : section.settings)
            if ((setting.shapes & outputs) != Outputs::nothing)
                values.emplace_back(name_of(section, setting), canonical_value(setting));
    return values;
}

/// What stands above the settings of a section.
std::string heading(const Section& section) {
    return section.name.empty() ? "" : fmt::format("# {}\n[{}]\n", section.comment, section.name);
}

/// A setting below what is said of it.
std::string entry(const Setting& setting) {
    const std::string allowed = std::visit(AllowedText{}, setting.field);
    return fmt::format("# {}{}{}\n{}{} = {}\n", setting.comment, allowed.empty() ? "" : "; ",
                       allowed, setting.remark.empty() ? "" : "# " + setting.remark + "\n",
                       setting.key, value_text(setting));
}

} // namespace

Setting integer(std::string key, std::int64_t& value, Range<std::int64_t> range,
                std::string comment, Outputs shapes) {
    return {std::move(key), IntegerField{&value, range}, std::move(comment), shapes};
}

Setting real(std::string key, double& value, Range<double> range, std::string comment,
             Outputs shapes) {
    return {std::move(key), RealField{&value, range}, std::move(comment), shapes};
}

Setting boolean(std::string key, bool& value, std::string comment, Outputs shapes) {
    return {std::move(key), BooleanField{&value}, std::move(comment), shapes};
}

Setting text(std::string key, std::string& value, std::vector<std::string> choices,
             std::string comment, Outputs shapes) {
    return {std::move(key), TextField{&value, std::move(choices)}, std::move(comment), shapes};
}

Setting path(std::string key, std::string& value, std::string comment, Outputs shapes) {
    return {std::move(key), PathField{&value}, std::move(comment), shapes};
}

Setting text_list(std::string key, std::vector<std::string>& value, std::string comment,
                  Outputs shapes) {
    return {std::move(key), TextListField{&value}, std::move(comment), shapes};
}

Setting real_list(std::string key, std::vector<double>& value, Range<double> range,
                  std::string comment, Outputs shapes) {
    return {std::move(key), RealListField{&value, range}, std::move(comment), shapes};
}

std::string name_of(const Section& section, const Setting& setting) {
    return section.name.empty() ? setting.key : section.name + "." + setting.key;
}

std::string value_text(const Setting& setting) {
    return std::visit(ValueText{}, setting.field);
}

void load_settings(const Configuration& configuration, const std::string& toml_text,
                   const std::string& file_name, const std::vector<std::string>& overrides) {
    load_document(configuration, parse_document(toml_text, file_name));
    for (const std::string& text : overrides)
        load_document(configuration, parse_override(text));
}

std::string settings_as_toml(const Configuration& configuration) {
    std::string toml;
    for (const Section& section : configuration) {
        toml += (toml.empty() ? "" : "\n") + heading(section);
        for (const Setting& setting : section.settings)
            toml += entry(setting);
    }
    return toml;
}

std::string setting_lines(const Configuration& configuration) {
    std::string lines;
    for (const Section& section : configuration)
        for (const Setting& setting : section.settings)
            lines += fmt::format("{} = {}\n", name_of(section, setting), value_text(setting));
    return lines;
}

std::string canonical_lines(const Configuration& configuration, Outputs outputs) {
    std::string lines;
    for (const auto& [name, value] : canonical_values(configuration, outputs))
        lines += fmt::format("{} = {}\n", name, value);
    return lines;
}

std::vector<std::string> setting_differences(const Configuration& there, const Configuration& here,
                                             Outputs outputs) {
    const auto theirs = canonical_values(there, outputs);
    const auto ours = canonical_values(here, outputs);
    std::vector<std::string> differences;
    for (std::size_t i = 0; i < theirs.size(); ++i)
        if (theirs[i] != ours[i])
            differences.push_back(fmt::format("{} = {} there, {} here", theirs[i].first,
                                              theirs[i].second, ours[i].second));
    return differences;
}

std::vector<std::pair<std::string, std::string*>>
path_settings(const Configuration& configuration) {
    std::vector<std::pair<std::string, std::string*>> paths;
    for (const Section& section : configuration)
        for (const Setting& setting : section.settings)
            if (const auto* path = std::get_if<PathField>(&setting.field))
                paths.emplace_back(name_of(section, setting), path->value);
    return paths;
}

} // namespace hdap::core

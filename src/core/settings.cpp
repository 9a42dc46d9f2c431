#include "hdap/core/settings.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <toml++/toml.h>

#include <algorithm>
#include <cmath>
#include <sstream>

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

std::string list_text(const std::vector<std::string>& list) {
    std::vector<std::string> words(list.size());
    std::transform(list.begin(), list.end(), words.begin(), quoted);
    return "[" + join(words) + "]";
}

/// Gathers what keys there are, so that a misspelt one can be told from a known one.
class KeyCollector final : public SettingVisitor {
  public:
    void section(const std::string& name, const std::string&) override { section_ = name; }
    void integer(const std::string& key, std::int64_t&, Range<std::int64_t>,
                 const std::string&) override {
        add(key);
    }
    void real(const std::string& key, double&, Range<double>, const std::string&) override {
        add(key);
    }
    void boolean(const std::string& key, bool&, const std::string&) override { add(key); }
    void text(const std::string& key, std::string&, const std::vector<std::string>&,
              const std::string&) override {
        add(key);
    }
    void text_list(const std::string& key, std::vector<std::string>&, const std::string&) override {
        add(key);
    }

    std::vector<std::string> keys;

  private:
    void add(const std::string& key) { keys.push_back(section_ + "." + key); }
    std::string section_;
};

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

/// Copies values from a document into the fields.
class Loader final : public SettingVisitor {
  public:
    explicit Loader(const Document& document) : document_(document) {}

    void section(const std::string& name, const std::string&) override { section_ = name; }

    void integer(const std::string& key, std::int64_t& field, Range<std::int64_t> range,
                 const std::string&) override {
        const toml::node* node = find(key);
        if (node == nullptr) return;
        if (!node->is_integer()) fail(key, *node, "is not an integer" + expected(range));
        const std::int64_t value = **node->as_integer();
        check_range(key, *node, value, range);
        field = value;
    }

    void real(const std::string& key, double& field, Range<double> range,
              const std::string&) override {
        const toml::node* node = find(key);
        if (node == nullptr) return;
        if (!node->is_number()) fail(key, *node, "is not a number" + expected(range));
        const double value = *node->value<double>();
        if (!std::isfinite(value)) fail(key, *node, "is not a finite number" + expected(range));
        check_range(key, *node, value, range);
        field = value;
    }

    void boolean(const std::string& key, bool& field, const std::string&) override {
        const toml::node* node = find(key);
        if (node == nullptr) return;
        if (!node->is_boolean()) fail(key, *node, "is neither true nor false");
        field = **node->as_boolean();
    }

    void text(const std::string& key, std::string& field, const std::vector<std::string>& choices,
              const std::string&) override {
        const toml::node* node = find(key);
        if (node == nullptr) return;
        if (!node->is_string()) fail(key, *node, "is not a text in quotes");
        const std::string value = **node->as_string();
        if (!choices.empty() && std::find(choices.begin(), choices.end(), value) == choices.end())
            fail(key, *node,
                 "is unknown" + did_you_mean(value, choices) + "; known: " + join(choices));
        field = value;
    }

    void text_list(const std::string& key, std::vector<std::string>& field,
                   const std::string&) override {
        const toml::node* node = find(key);
        if (node == nullptr) return;
        const toml::array* array = node->as_array();
        if (array == nullptr || (!array->empty() && !array->is_homogeneous<std::string>()))
            fail(key, *node, "is not a list of texts, like [\"a\", \"b\"]");
        field.clear();
        for (const toml::node& entry : *array)
            field.push_back(**entry.as_string());
    }

  private:
    [[nodiscard]] const toml::node* find(const std::string& key) const {
        return document_.table.at_path(section_ + "." + key).node();
    }

    template <class T>
    static std::string expected(const Range<T>& range) {
        const std::string text = range_text(range);
        return text.empty() ? "" : "; allowed: " + text;
    }

    template <class T>
    void check_range(const std::string& key, const toml::node& node, T value,
                     const Range<T>& range) const {
        if (value < range.minimum || value > range.maximum ||
            (range.open_minimum && value == range.minimum))
            fail(key, node, "is out of range" + expected(range));
    }

    [[noreturn]] void fail(const std::string& key, const toml::node& node,
                           const std::string& what) const {
        std::ostringstream value;
        node.visit([&](const auto& concrete) { value << concrete; });
        throw ConfigError(document_.where(node) + ": " + section_ + "." + key + " = " +
                          value.str() + " " + what);
    }

    const Document& document_;
    std::string section_;
};

/// Throws when the document has a key that no setting owns.
void refuse_unknown_keys(const Document& document, const std::vector<std::string>& known) {
    std::vector<std::string> sections;
    for (const std::string& key : known)
        sections.push_back(key.substr(0, key.rfind('.')));
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
                const auto& candidates = node.is_table() ? sections : known;
                throw ConfigError(document.where(node) + ": unknown " +
                                  (node.is_table() ? "section '" : "key '") + path + "'" +
                                  did_you_mean(path, candidates) +
                                  "; hdap run --print-config shows all");
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

/// Writes TOML with comments.
class TomlPrinter final : public SettingVisitor {
  public:
    void section(const std::string& name, const std::string& comment) override {
        out_ << (out_.tellp() > 0 ? "\n" : "") << "# " << comment << "\n[" << name << "]\n";
    }
    void integer(const std::string& key, std::int64_t& field, Range<std::int64_t> range,
                 const std::string& comment) override {
        line(key, number_text(field), comment, range_text(range));
    }
    void real(const std::string& key, double& field, Range<double> range,
              const std::string& comment) override {
        line(key, number_text(field), comment, range_text(range));
    }
    void boolean(const std::string& key, bool& field, const std::string& comment) override {
        line(key, field ? "true" : "false", comment, "");
    }
    void text(const std::string& key, std::string& field, const std::vector<std::string>& choices,
              const std::string& comment) override {
        line(key, quoted(field), comment, join(choices, " | "));
    }
    void text_list(const std::string& key, std::vector<std::string>& field,
                   const std::string& comment) override {
        line(key, list_text(field), comment, "");
    }

    [[nodiscard]] std::string result() const { return out_.str(); }

  private:
    void line(const std::string& key, const std::string& value, const std::string& comment,
              const std::string& allowed) {
        out_ << "# " << comment << (allowed.empty() ? "" : "; " + allowed) << "\n"
             << key << " = " << value << "\n";
    }
    std::ostringstream out_;
};

/// Writes "key = value" lines of the chosen settings.
class CanonicalPrinter final : public SettingVisitor {
  public:
    explicit CanonicalPrinter(const std::vector<std::string>& prefixes) : prefixes_(prefixes) {}

    void section(const std::string& name, const std::string&) override { section_ = name; }
    void integer(const std::string& key, std::int64_t& field, Range<std::int64_t>,
                 const std::string&) override {
        line(key, number_text(field));
    }
    void real(const std::string& key, double& field, Range<double>, const std::string&) override {
        line(key, number_text(field));
    }
    void boolean(const std::string& key, bool& field, const std::string&) override {
        line(key, field ? "true" : "false");
    }
    void text(const std::string& key, std::string& field, const std::vector<std::string>&,
              const std::string&) override {
        line(key, quoted(field));
    }
    void text_list(const std::string& key, std::vector<std::string>& field,
                   const std::string&) override {
        line(key, list_text(field));
    }

    std::string result;

  private:
    void line(const std::string& key, const std::string& value) {
        const std::string path = section_ + "." + key;
        const bool chosen =
            std::any_of(prefixes_.begin(), prefixes_.end(),
                        [&](const std::string& prefix) { return path.starts_with(prefix); });
        if (chosen) result += path + " = " + value + "\n";
    }
    const std::vector<std::string>& prefixes_;
    std::string section_;
};

} // namespace

void load_settings(const std::string& toml_text, const std::string& file_name,
                   const std::vector<std::string>& overrides, const DescribeSettings& describe) {
    KeyCollector known;
    describe(known);
    const auto apply = [&](const Document& document) {
        refuse_unknown_keys(document, known.keys);
        Loader loader(document);
        describe(loader);
    };
    apply(parse_document(toml_text, file_name));
    for (const std::string& text : overrides)
        apply(parse_override(text));
}

std::string settings_as_toml(const DescribeSettings& describe) {
    TomlPrinter printer;
    describe(printer);
    return printer.result();
}

std::string canonical_settings(const DescribeSettings& describe,
                               const std::vector<std::string>& prefixes) {
    CanonicalPrinter printer(prefixes);
    describe(printer);
    return printer.result;
}

} // namespace hdap::core

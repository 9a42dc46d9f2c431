#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace hdap::core {

/// Inclusive range of a number; `open_minimum` excludes the lower end itself.
template <class T>
struct Range {
    T minimum = std::numeric_limits<T>::lowest();
    T maximum = std::numeric_limits<T>::max();
    bool open_minimum = false;

    [[nodiscard]] bool contains(T value) const {
        return (open_minimum ? value > minimum : value >= minimum) && value <= maximum;
    }
};

/// What a setting shapes: a set of a study's outputs, put together with |. Only what it shapes
/// itself counts; what is made from that output depends on the setting through it.
enum class Outputs : std::uint32_t {
    nothing = 0, ///< how the job runs, or where a file lies
    fleet = 1U << 0,
    clusters = 1U << 1,
    profile = 1U << 2,
    surrogates = 1U << 3,
    search = 1U << 4,
    /// How long the search is, and nothing else of it: one that is lengthened goes on.
    search_length = 1U << 5,
    accuracies = 1U << 6, ///< of candidates, which studies share
    networks = 1U << 7,
    results = 1U << 8,
    everything = (1U << 9) - 1,
};

constexpr Outputs operator|(Outputs a, Outputs b) {
    return static_cast<Outputs>(static_cast<std::uint32_t>(a) | static_cast<std::uint32_t>(b));
}
constexpr Outputs operator&(Outputs a, Outputs b) {
    return static_cast<Outputs>(static_cast<std::uint32_t>(a) & static_cast<std::uint32_t>(b));
}
/// The outputs of `a` that are none of `b`.
constexpr Outputs without(Outputs a, Outputs b) {
    return static_cast<Outputs>(static_cast<std::uint32_t>(a) & ~static_cast<std::uint32_t>(b));
}

/// The kinds of settings. Each points to the variable that holds the value, which must outlive it.
struct IntegerField {
    std::int64_t* value;
    Range<std::int64_t> range;
};
struct RealField {
    double* value; ///< finite
    Range<double> range;
};
struct BooleanField {
    bool* value;
};
struct TextField {
    std::string* value;
    std::vector<std::string> choices; ///< empty: any text
};
/// Of a file or folder; empty: none.
struct PathField {
    std::string* value;
};
struct TextListField {
    std::vector<std::string>* value;
};
/// TOML may give a list of one number as the number itself.
struct RealListField {
    std::vector<double>* value; ///< each finite
    Range<double> range;        ///< of each
};
/// A value of an enumeration, known by its index among `names`.
struct ChoiceField {
    std::vector<std::string> names;
    std::function<std::size_t()> get;
    std::function<void(std::size_t)> set;
};

/// One setting. All that is known of it is here: loading, printing, hashes and command-line
/// options are made from these records.
struct Setting {
    std::string key; ///< within its section
    std::variant<IntegerField, RealField, BooleanField, TextField, PathField, TextListField,
                 RealListField, ChoiceField>
        field;
    std::string comment;
    Outputs shapes = Outputs::nothing;
    std::string remark = {}; ///< a second comment: of its value, where there is something to say
};

Setting integer(std::string key, std::int64_t& value, Range<std::int64_t> range,
                std::string comment, Outputs shapes);
Setting real(std::string key, double& value, Range<double> range, std::string comment,
             Outputs shapes);
Setting boolean(std::string key, bool& value, std::string comment, Outputs shapes);
/// `choices` empty: any text. The empty text may be one of them.
Setting text(std::string key, std::string& value, std::vector<std::string> choices,
             std::string comment, Outputs shapes);
Setting path(std::string key, std::string& value, std::string comment, Outputs shapes);
Setting text_list(std::string key, std::vector<std::string>& value, std::string comment,
                  Outputs shapes);
Setting real_list(std::string key, std::vector<double>& value, Range<double> range,
                  std::string comment, Outputs shapes);

/// `choices`: all values of the enumeration and their names.
template <class Enumeration>
Setting choice(std::string key, Enumeration& value,
               const std::vector<std::pair<std::string, Enumeration>>& choices, std::string comment,
               Outputs shapes) {
    ChoiceField field;
    for (const auto& [name, _] : choices)
        field.names.push_back(name);
    field.get = [&value, choices] {
        std::size_t i = 0;
        while (choices.at(i).second != value)
            ++i;
        return i;
    };
    field.set = [&value, choices](std::size_t i) { value = choices.at(i).second; };
    return {std::move(key), std::move(field), std::move(comment), shapes};
}

/// A table of TOML, or the keys above all tables.
struct Section {
    std::string name; ///< "fleet" or "fleet.synthetic"; empty: above all tables
    std::string comment;
    std::vector<Setting> settings;
};

/// All settings of a program, in the order in which they are printed: those above all tables come
/// first. No two have one name.
using Configuration = std::vector<Section>;

/// "section.key", or the key alone above all tables.
std::string name_of(const Section& section, const Setting& setting);

/// A setting's value as TOML writes it.
std::string value_text(const Setting& setting);

/// Reads `toml_text` into the settings; one that is absent keeps its value. `overrides` are
/// "name=value" texts from the command line; they win.
/// Throws ConfigError for a syntax error, an unknown key (names the nearest), a wrong type or a
/// value out of range: with file, line, key, value and what is allowed.
void load_settings(const Configuration& configuration, const std::string& toml_text,
                   const std::string& file_name, const std::vector<std::string>& overrides);

/// All settings as TOML with their comments, ranges and remarks. The text reads back to the same
/// settings.
std::string settings_as_toml(const Configuration& configuration);

/// All settings as lines, "name = value".
std::string setting_lines(const Configuration& configuration);

/// The lines of the settings that shape any of `outputs`: what their configuration hashes are made
/// of. Whether a path is given counts, but not where it leads: "network.file = a file".
std::string canonical_lines(const Configuration& configuration, Outputs outputs);

/// What of canonical_lines differs between two values of one configuration:
/// "search.population = 32 there, 64 here".
std::vector<std::string> setting_differences(const Configuration& there, const Configuration& here,
                                             Outputs outputs);

/// The names of the settings that are paths, and what holds them.
std::vector<std::pair<std::string, std::string*>> path_settings(const Configuration& configuration);

} // namespace hdap::core

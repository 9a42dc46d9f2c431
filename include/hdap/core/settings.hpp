#pragma once

#include <cstdint>
#include <functional>
#include <limits>
#include <string>
#include <vector>

namespace hdap::core {

/// Inclusive range of a number; `open_minimum` excludes the lower end itself.
template <class T>
struct Range {
    T minimum = std::numeric_limits<T>::lowest();
    T maximum = std::numeric_limits<T>::max();
    bool open_minimum = false;
};

/// Walks over all settings of a configuration. A function `void describe(Settings&,
/// SettingVisitor&)` names every setting once: its key, the field that holds it, its range and a
/// comment. Loading, printing, hashing and `--print-config` are visitors, so they can never
/// disagree about what settings there are.
class SettingVisitor {
  public:
    virtual ~SettingVisitor() = default;

    /// Begins a table: the keys that follow are below `name`.
    virtual void section(const std::string& name, const std::string& comment) = 0;
    virtual void integer(const std::string& key, std::int64_t& field, Range<std::int64_t> range,
                         const std::string& comment) = 0;
    virtual void real(const std::string& key, double& field, Range<double> range,
                      const std::string& comment) = 0;
    virtual void boolean(const std::string& key, bool& field, const std::string& comment) = 0;
    /// `choices` empty: any text.
    virtual void text(const std::string& key, std::string& field,
                      const std::vector<std::string>& choices, const std::string& comment) = 0;
    virtual void text_list(const std::string& key, std::vector<std::string>& field,
                           const std::string& comment) = 0;
};

using DescribeSettings = std::function<void(SettingVisitor&)>;

/// Reads `toml_text` into the fields that `describe` names; a setting that is absent keeps its
/// value. `overrides` are "key.path=value" texts from the command line; they win.
/// Throws ConfigError for a syntax error, an unknown key (names the nearest), a wrong type or a
/// value out of range: with file, line, key, value and what is allowed.
void load_settings(const std::string& toml_text, const std::string& file_name,
                   const std::vector<std::string>& overrides, const DescribeSettings& describe);

/// All settings as TOML with their comments and ranges, in the order of `describe`.
/// The text reads back to the same settings.
std::string settings_as_toml(const DescribeSettings& describe);

/// The settings whose keys begin with one of `prefixes` ("fleet.", "network.name"), as canonical
/// "key = value" lines: what a stage's configuration hash is made of.
std::string canonical_settings(const DescribeSettings& describe,
                               const std::vector<std::string>& prefixes);

} // namespace hdap::core

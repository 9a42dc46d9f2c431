#include "plan_file.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"
#include "toml_reader.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <glob.h>
#include <memory>
#include <set>
#include <sstream>

namespace hdap::ablation {
namespace {

namespace fs = std::filesystem;

toml::table parse_toml(const std::string& text, const fs::path& file) {
    try {
        return toml::parse(text, file.string());
    } catch (const toml::parse_error& error) {
        throw core::ConfigError(fmt::format("{}:{}: not valid TOML: {}", file.string(),
                                            error.source().begin.line, error.description()));
    }
}

std::string toml_string(const std::string& text) {
    std::ostringstream out;
    const toml::value<std::string> value(text);
    out << toml::toml_formatter(value, toml::format_flags::none);
    return out.str();
}

/// A real keeps a point, as TOML tells it from an integer by that.
std::string real_text(double value) {
    const std::string text = core::shortest(value);
    return text.find_first_of(".en") == std::string::npos ? text + ".0" : text;
}

/// A value as --set takes it; the path of a file is made absolute.
std::string value_text(const TomlReader& reader, const std::string& key, const toml::node& node,
                       const fs::path& folder) {
    if (node.is_string()) {
        std::string text = **node.as_string();
        if (study::is_path_setting(key) && !text.empty() && fs::path(text).is_relative())
            text = fs::weakly_canonical(folder / text).string();
        return toml_string(text);
    }
    if (node.is_integer()) return std::to_string(**node.as_integer());
    if (node.is_floating_point()) return real_text(**node.as_floating_point());
    if (node.is_boolean()) return **node.as_boolean() ? "true" : "false";
    if (!node.is_array())
        reader.fail(node, key + " is neither a number, a text, a boolean nor a list");
    std::vector<std::string> words;
    for (const toml::node& entry : *node.as_array()) {
        if (entry.is_array()) reader.fail(entry, key + " is a list within a list");
        words.push_back(value_text(reader, key, entry, folder));
    }
    return "[" + core::join(words) + "]";
}

/// What tables show of a value: a text without its quotes.
std::string label_of(const toml::node& node) {
    if (node.is_string()) return **node.as_string();
    if (node.is_integer()) return std::to_string(**node.as_integer());
    if (node.is_floating_point()) return core::shortest(**node.as_floating_point());
    if (node.is_boolean()) return **node.as_boolean() ? "true" : "false";
    std::vector<std::string> words;
    if (const toml::array* array = node.as_array())
        for (const toml::node& entry : *array)
            words.push_back(label_of(entry));
    return core::join(words);
}

/// Keys become part of a line of TOML: nothing else may get in there.
void check_key(const TomlReader& reader, const std::string& key, const toml::node& where) {
    const auto allowed = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '.' || c == '-';
    };
    if (key.empty() || !std::all_of(key.begin(), key.end(), allowed))
        reader.fail(where, fmt::format("'{}' is no setting's key, like search.population", key));
}

/// Which of values, seeds, files and points an axis has; `key` and `keys` must go with it.
std::string kind_of(const TomlReader& axis) {
    std::vector<std::string> kinds;
    for (const char* kind : {"values", "seeds", "files", "points"})
        if (axis.has(kind)) kinds.emplace_back(kind);
    if (kinds.size() != 1)
        axis.fail("needs exactly one of values, seeds, files and points, but has " +
                  (kinds.empty() ? "none" : core::join(kinds, " and ")));
    const bool key = axis.has("key");
    const bool keys = axis.has("keys");
    if (kinds[0] == "points") {
        if (key || keys) axis.fail("points name their own keys; remove key");
    } else if (key == keys) {
        axis.fail("needs either key or keys");
    } else if (keys && kinds[0] != "values") {
        axis.fail(fmt::format("keys go with values; {} need key", kinds[0]));
    }
    return kinds[0];
}

/// Gives the levels the labels that the plan wants, and checks that they can be told apart.
void label_levels(const TomlReader& axis, std::vector<Level>& levels) {
    if (axis.has("labels")) {
        const std::vector<std::string> labels = axis.texts("labels");
        if (axis.has("points") || labels.size() != levels.size())
            axis.fail(fmt::format(
                "labels must be one for each of the {} values; points name theirs", levels.size()));
        for (std::size_t i = 0; i < labels.size(); ++i)
            levels[i].label = labels[i];
    }
    std::set<std::string> seen;
    for (const Level& level : levels)
        if (level.label.empty() || !seen.insert(level.label).second)
            axis.fail(fmt::format(
                "the label '{}' is empty or occurs twice: name the values with labels = [...]",
                level.label));
}

/// Reads one plan; `folder` is where its relative paths begin.
class PlanParser {
  public:
    PlanParser(const fs::path& file, const TomlReader& root)
        : file_(file), folder_(fs::absolute(file).parent_path()), root_(root) {}

    PlanFile parse() const;

  private:
    void parse_head(PlanFile& plan) const;
    std::vector<PlannedSetting> parse_settings(const TomlReader& table) const;
    void add_settings(const TomlReader& table, const std::string& prefix,
                      std::vector<PlannedSetting>& settings) const;
    PlannedSetting setting(const TomlReader& reader, const std::string& key,
                           const toml::node& value) const {
        check_key(reader, key, value);
        return {key, value_text(reader, key, value, folder_), line_of(value)};
    }
    Axis parse_axis(const TomlReader& table) const;
    std::vector<Level> values_levels(const TomlReader& axis) const;
    std::vector<Level> zipped_levels(const TomlReader& axis) const;
    std::vector<Level> seeds_levels(const TomlReader& axis) const;
    std::vector<Level> files_levels(const TomlReader& axis) const;
    std::vector<Level> points_levels(const TomlReader& axis) const;
    std::vector<std::string> matching_files(const TomlReader& axis) const;
    ListedCell parse_cell(const TomlReader& table, const std::vector<std::string>& axes) const;
    std::vector<TomlReader> tables(const std::string& key) const;

    fs::path file_;
    fs::path folder_;
    const TomlReader& root_;
};

PlanFile PlanParser::parse() const {
    root_.allow_only({"ablation", "settings", "axis", "cell"});
    PlanFile plan;
    parse_head(plan);
    if (root_.has("settings")) plan.settings = parse_settings(root_.child("settings"));
    for (const TomlReader& table : tables("axis")) {
        plan.axes.push_back(parse_axis(table));
        const std::string& name = plan.axes.back().name;
        if (std::find(plan.axis_names.begin(), plan.axis_names.end(), name) !=
            plan.axis_names.end())
            table.fail(fmt::format("two axes are named '{}': give one of them another name", name));
        plan.axis_names.push_back(name);
    }
    const std::vector<TomlReader> cells = tables("cell");
    if (plan.axes.empty() && cells.empty())
        root_.fail("the plan has no cells: add an [[axis]] or a [[cell]]");
    if (plan.axes.empty() && cells.front().has("labels"))
        plan.axis_names = cells.front().child("labels").keys_in_file_order();
    for (const TomlReader& table : cells)
        plan.listed.push_back(parse_cell(table, plan.axis_names));
    return plan;
}

void PlanParser::parse_head(PlanFile& plan) const {
    const TomlReader head = root_.child("ablation");
    head.allow_only({"name", "base", "compare", "baseline", "within", "fleets"});
    plan.name = head.text_or("name", file_.stem().string());
    if (plan.name.empty() || plan.name.find('/') != std::string::npos || plan.name == "." ||
        plan.name == "..")
        head.fail(fmt::format("name = '{}' must be a file name, without '/'", plan.name));
    plan.base = folder_ / head.text("base");
    plan.comparison = {.axis = head.text_or("compare", ""),
                       .baseline = head.text_or("baseline", ""),
                       .within = head.texts_or_none("within"),
                       .fleets = head.text_or("fleets", "")};
    if (plan.comparison.axis.empty() != plan.comparison.baseline.empty())
        head.fail("compare (an axis) and baseline (one of its labels) need each other");
}

/// The tables of [[key]], numbered for messages.
std::vector<TomlReader> PlanParser::tables(const std::string& key) const {
    std::vector<TomlReader> result;
    if (!root_.has(key)) return result;
    for (const toml::node& node : root_.array(key)) {
        if (!node.is_table())
            root_.fail(node, fmt::format("{} is not a list of tables: write [[{}]]", key, key));
        result.emplace_back(*node.as_table(), key + " " + std::to_string(result.size() + 1), file_);
    }
    return result;
}

std::vector<PlannedSetting> PlanParser::parse_settings(const TomlReader& table) const {
    std::vector<PlannedSetting> settings;
    add_settings(table, "", settings);
    return settings;
}

/// "search.population" = 16, search.population = 16 and [settings.search] mean the same.
void PlanParser::add_settings(const TomlReader& table, const std::string& prefix,
                              std::vector<PlannedSetting>& settings) const {
    for (const std::string& key : table.keys_in_file_order())
        if (table.at(key).is_table())
            add_settings(table.child(key), prefix + key + ".", settings);
        else
            settings.push_back(setting(table, prefix + key, table.at(key)));
}

Axis PlanParser::parse_axis(const TomlReader& table) const {
    table.allow_only({"name", "key", "keys", "values", "seeds", "files", "points", "labels"});
    const std::string kind = kind_of(table);
    const std::string key = table.text_or("key", "");
    Axis axis{.name = table.text_or("name", key.substr(key.rfind('.') + 1)), .levels = {}};
    if (axis.name.empty()) table.fail("name is missing");
    if (kind == "seeds") axis.levels = seeds_levels(table);
    if (kind == "files") axis.levels = files_levels(table);
    if (kind == "points") axis.levels = points_levels(table);
    if (kind == "values")
        axis.levels = table.has("keys") ? zipped_levels(table) : values_levels(table);
    if (axis.levels.empty())
        table.fail(fmt::format("'{}' has no points: give at least one", axis.name));
    label_levels(table, axis.levels);
    return axis;
}

std::vector<Level> PlanParser::values_levels(const TomlReader& axis) const {
    std::vector<Level> levels;
    for (const toml::node& value : axis.array("values"))
        levels.push_back({label_of(value), {setting(axis, axis.text("key"), value)}});
    return levels;
}

std::vector<Level> PlanParser::zipped_levels(const TomlReader& axis) const {
    const std::vector<std::string> keys = axis.texts("keys");
    std::vector<Level> levels;
    for (const toml::node& node : axis.array("values")) {
        const toml::array* values = node.as_array();
        if (values == nullptr || values->size() != keys.size())
            axis.fail(node, fmt::format("values must be lists of {} values, one for each of keys",
                                        keys.size()));
        Level level;
        std::vector<std::string> words;
        for (std::size_t i = 0; i < keys.size(); ++i) {
            const toml::node& value = *values->get(i);
            words.push_back(label_of(value));
            level.settings.push_back(setting(axis, keys[i], value));
        }
        level.label = core::join(words, " / ");
        levels.push_back(std::move(level));
    }
    return levels;
}

std::vector<Level> PlanParser::seeds_levels(const TomlReader& axis) const {
    constexpr std::int64_t largest = 1'000'000'000'000;
    std::int64_t first = 1;
    const toml::node* count_node = &axis.at("seeds");
    if (count_node->is_table()) {
        const TomlReader range = axis.child("seeds");
        range.allow_only({"first", "count"});
        if (range.has("first")) {
            const auto* value = range.at("first").as_integer();
            if (value == nullptr || **value < 0 || **value > largest)
                range.fail(fmt::format("first must be an integer in [0, {}]", largest));
            first = **value;
        }
        count_node = &range.at("count");
    }
    const auto* count = count_node->as_integer();
    if (count == nullptr || **count < 1 || **count > static_cast<std::int64_t>(most_cells))
        axis.fail(*count_node,
                  fmt::format("seeds must be an integer in [1, {}], or {{ first = 1, count = 5 }}",
                              most_cells));
    const std::string key = axis.text("key");
    check_key(axis, key, axis.at("key"));
    std::vector<Level> levels;
    for (std::int64_t seed = first; seed < first + **count; ++seed)
        levels.push_back(
            {std::to_string(seed), {{key, std::to_string(seed), line_of(*count_node)}}});
    return levels;
}

std::vector<std::string> PlanParser::matching_files(const TomlReader& axis) const {
    const std::string pattern = (folder_ / axis.text("files")).lexically_normal().string();
    glob_t found{};
    const int status = ::glob(pattern.c_str(), GLOB_NOSORT, nullptr, &found);
    const std::unique_ptr<glob_t, void (*)(glob_t*)> owner(&found, ::globfree);
    if (status != 0 && status != GLOB_NOMATCH)
        axis.fail(axis.at("files"), "cannot look for " + pattern);
    if (found.gl_pathc == 0) axis.fail(axis.at("files"), "no file matches " + pattern);
    std::vector<std::string> files(found.gl_pathv, found.gl_pathv + found.gl_pathc);
    std::sort(files.begin(), files.end()); // by bytes, whatever the locale is
    return files;
}

std::vector<Level> PlanParser::files_levels(const TomlReader& axis) const {
    const std::string key = axis.text("key");
    check_key(axis, key, axis.at("key"));
    std::vector<Level> levels;
    for (const std::string& file : matching_files(axis))
        levels.push_back({fs::path(file).stem().string(),
                          {{key, toml_string(file), line_of(axis.at("files"))}}});
    return levels;
}

std::vector<Level> PlanParser::points_levels(const TomlReader& axis) const {
    const TomlReader points = axis.child("points");
    std::vector<Level> levels;
    for (const std::string& label : points.keys_in_file_order())
        levels.push_back({label, parse_settings(points.child(label))});
    return levels;
}

ListedCell PlanParser::parse_cell(const TomlReader& table,
                                  const std::vector<std::string>& axes) const {
    table.allow_only({"labels", "settings"});
    ListedCell cell;
    if (table.has("settings")) cell.settings = parse_settings(table.child("settings"));
    const TomlReader labels = table.child("labels");
    labels.allow_only(axes);
    for (const std::string& axis : axes) {
        const std::string label = label_of(labels.at(axis));
        if (label.empty()) labels.fail(labels.at(axis), axis + " has an empty label");
        cell.labels.push_back(label);
    }
    return cell;
}

} // namespace

PlanFile parse_plan_file(const std::string& text, const fs::path& file) {
    const toml::table table = parse_toml(text, file);
    return PlanParser(file, TomlReader(table, "", file)).parse();
}

} // namespace hdap::ablation

#include "toml_reader.hpp"

#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/core.h>

#include <algorithm>

namespace hdap::ablation {

void TomlReader::allow_only(const std::vector<std::string>& known) const {
    for (const auto& [name, node] : *table_) {
        const std::string key(name.str());
        if (std::find(known.begin(), known.end(), key) == known.end())
            fail(node, fmt::format("unknown key '{}'{}; known: {}", key,
                                   core::did_you_mean(key, known), core::join(known)));
    }
}

std::vector<std::string> TomlReader::keys_in_file_order() const {
    struct Place {
        toml::source_position position;
        std::string key;
    };
    std::vector<Place> places;
    for (const auto& [name, node] : *table_)
        places.push_back({name.source().begin, std::string(name.str())});
    std::stable_sort(places.begin(), places.end(),
                     [](const Place& a, const Place& b) { return a.position < b.position; });
    std::vector<std::string> keys;
    for (Place& place : places)
        keys.push_back(std::move(place.key));
    return keys;
}

const toml::node& TomlReader::at(std::string_view key) const {
    const toml::node* node = table_->get(key);
    if (node == nullptr) fail(std::string(key) + " is missing");
    return *node;
}

std::string TomlReader::text(std::string_view key) const {
    const toml::node& node = at(key);
    if (!node.is_string()) fail(node, std::string(key) + " is not a text in quotes");
    return **node.as_string();
}

std::vector<std::string> TomlReader::texts(std::string_view key) const {
    std::vector<std::string> result;
    for (const toml::node& entry : array(key)) {
        if (!entry.is_string())
            fail(entry, std::string(key) + " is not a list of texts, like [\"a\", \"b\"]");
        result.push_back(**entry.as_string());
    }
    return result;
}

const toml::array& TomlReader::array(std::string_view key) const {
    const toml::node& node = at(key);
    if (!node.is_array()) fail(node, std::string(key) + " is not a list, like [1, 2]");
    return *node.as_array();
}

TomlReader TomlReader::child(std::string_view key) const {
    const toml::node& node = at(key);
    if (!node.is_table()) fail(node, std::string(key) + " is not a table");
    return {*node.as_table(), path_ + (path_.empty() ? "" : ".") + std::string(key), file_};
}

std::string TomlReader::text_or(std::string_view key, const std::string& fallback) const {
    return has(key) ? text(key) : fallback;
}

std::vector<std::string> TomlReader::texts_or_none(std::string_view key) const {
    return has(key) ? texts(key) : std::vector<std::string>{};
}

void TomlReader::fail(const toml::node& where, const std::string& what) const {
    throw core::ConfigError(
        fmt::format("{}:{}: {}{}", file_, line_of(where), path_.empty() ? "" : path_ + ": ", what));
}

std::int64_t line_of(const toml::node& node) {
    return static_cast<std::int64_t>(node.source().begin.line);
}

} // namespace hdap::ablation

#pragma once

#include <toml++/toml.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

/// Strict access to tables of a plan; private to the module.
namespace hdap::ablation {

/// One table of a TOML file. Errors are ConfigErrors that name file, line and key.
class TomlReader {
  public:
    /// `path` names the table in messages: "ablation", "axis 2".
    TomlReader(const toml::table& table, std::string path, const std::filesystem::path& file)
        : table_(&table), path_(std::move(path)), file_(file.string()) {}

    [[nodiscard]] const toml::table& table() const noexcept { return *table_; }

    /// Throws when there is a key that is not in `known`; names the nearest one.
    void allow_only(const std::vector<std::string>& known) const;

    /// The keys in the order in which the file has them, not in the alphabet's.
    [[nodiscard]] std::vector<std::string> keys_in_file_order() const;

    [[nodiscard]] bool has(std::string_view key) const { return table_->contains(key); }
    /// Throws when it is missing.
    [[nodiscard]] const toml::node& at(std::string_view key) const;
    /// Each throws when the key is missing or of another type.
    [[nodiscard]] std::string text(std::string_view key) const;
    [[nodiscard]] std::vector<std::string> texts(std::string_view key) const;
    [[nodiscard]] const toml::array& array(std::string_view key) const;
    [[nodiscard]] TomlReader child(std::string_view key) const;

    /// The same when the key is there, else nothing.
    [[nodiscard]] std::string text_or(std::string_view key, const std::string& fallback) const;
    [[nodiscard]] std::vector<std::string> texts_or_none(std::string_view key) const;

    /// "plan.toml:7: axis 2: WHAT"
    [[noreturn]] void fail(const toml::node& where, const std::string& what) const;
    [[noreturn]] void fail(const std::string& what) const { fail(*table_, what); }

  private:
    const toml::table* table_;
    std::string path_;
    std::string file_;
};

/// The line of the file that a node begins in.
std::int64_t line_of(const toml::node& node);

} // namespace hdap::ablation

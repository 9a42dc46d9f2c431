#include "fleet/telemetry/json_records.hpp"

#include "fleet/bad_lines.hpp"
#include "fleet/csv_reader.hpp"
#include "hdap/core/error.hpp"
#include "hdap/core/text.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <iterator>
#include <limits>

namespace hdap::fleet {
namespace {

constexpr std::size_t most_bytes_of_value = std::size_t{1} << 20U;
constexpr std::size_t most_fields = 4096;
constexpr std::size_t most_numbers = 1'000'000;
constexpr std::size_t most_nesting = 64;

/// The bytes of a file on their way to the parser.
struct ByteSource {
    std::streambuf& bytes;
    const std::string& name;
    std::int64_t line = 1;
    std::size_t of_value = 0; ///< since the value before

    [[nodiscard]] bool at_end() const {
        return std::streambuf::traits_type::eq_int_type(bytes.sgetc(),
                                                        std::streambuf::traits_type::eof());
    }
    void advance() {
        if (bytes.sbumpc() == '\n') ++line;
        if (++of_value > most_bytes_of_value)
            throw core::DataError(fmt::format("{}:{}: a value of more than 1 MiB; is this the "
                                              "right file?",
                                              name, line));
    }
};

class ByteIterator {
  public:
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = char;

    ByteIterator() = default;
    explicit ByteIterator(ByteSource& source) : source_(&source) {}
    char operator*() const {
        return std::streambuf::traits_type::to_char_type(source_->bytes.sgetc());
    }
    ByteIterator& operator++() {
        source_->advance();
        return *this;
    }
    friend bool operator==(const ByteIterator& a, const ByteIterator& b) {
        return a.is_end() == b.is_end();
    }
    friend bool operator!=(const ByteIterator& a, const ByteIterator& b) { return !(a == b); }

  private:
    [[nodiscard]] bool is_end() const { return source_ == nullptr || source_->at_end(); }
    ByteSource* source_ = nullptr;
};

/// Builds records of what the parser tells.
class RecordBuilder : public nlohmann::json_sax<nlohmann::json> {
  public:
    using Use = std::function<void(const JsonRecord&)>;

    /// `base`: 1 for a list of records, 0 for a record.
    RecordBuilder(std::size_t base, std::size_t levels, ByteSource* source, Use use)
        : base_(base), levels_(levels), source_(source), use_(std::move(use)) {}

    [[nodiscard]] bool within_element() const { return open_.size() > base_; }
    [[nodiscard]] bool in_list() const { return open_.size() == base_; }
    [[nodiscard]] std::int64_t elements() const { return elements_; }
    [[nodiscard]] const std::string& failure() const { return failure_; }

    bool null() override { return take({}); }
    bool boolean(bool value) override { return take(value); }
    bool number_integer(std::int64_t value) override { return take(static_cast<double>(value)); }
    bool number_unsigned(std::uint64_t value) override { return take(static_cast<double>(value)); }
    bool number_float(double value, const std::string&) override { return take(value); }
    bool string(std::string& value) override { return take(std::move(value)); }
    bool binary(nlohmann::json::binary_t&) override { return take({}); }

    bool start_object(std::size_t) override { return open(false); }
    bool start_array(std::size_t) override { return open(true); }
    bool end_object() override { return close(); }
    bool end_array() override { return close(); }

    bool key(std::string& name) override {
        saw_value();
        open_.back().key = std::move(name);
        return true;
    }

    bool parse_error(std::size_t, const std::string& last,
                     const nlohmann::detail::exception&) override {
        if (failure_.empty()) failure_ = fmt::format("{} is no JSON here", shown(last));
        return false;
    }

  private:
    struct Level {
        bool is_list;
        std::string key{};
        std::size_t field = none; ///< that a list fills
    };
    static constexpr std::size_t none = std::numeric_limits<std::size_t>::max();

    void saw_value() {
        if (source_ != nullptr) source_->of_value = 0;
    }
    bool fail(const std::string& what) {
        failure_ = what;
        return false;
    }

    /// Whether values at this place are kept.
    [[nodiscard]] bool is_kept() const {
        return open_.size() > base_ && open_.size() <= base_ + levels_;
    }

    bool take(decltype(JsonField::value) value) {
        saw_value();
        if (open_.size() < base_) return fail("a value, expected a list of objects");
        if (open_.size() == base_) return finish("is no object");
        Level& level = open_.back();
        if (level.is_list)
            extend(level, value);
        else if (is_kept())
            add(std::move(value));
        return true;
    }

    /// A value of a list: only numbers among themselves are kept.
    void extend(Level& level, const decltype(JsonField::value)& value) {
        if (level.field == none) return;
        auto& field = record_.fields[level.field].value;
        auto* const numbers = std::get_if<std::vector<double>>(&field);
        const double* const number = std::get_if<double>(&value);
        if (numbers == nullptr) return;
        if (number == nullptr)
            field = std::monostate{};
        else if (++numbers_ <= most_numbers)
            numbers->push_back(*number);
        else
            record_.problem = "has more than 1,000,000 numbers";
    }

    void add(decltype(JsonField::value) value) {
        std::string name;
        for (std::size_t i = base_; i < open_.size(); ++i)
            name += (i == base_ ? "" : ".") + open_[i].key;
        const auto* const text = std::get_if<std::string>(&value);
        text_bytes_ += name.size() + (text == nullptr ? 0 : text->size());
        if (record_.fields.size() < most_fields && text_bytes_ < most_bytes_of_value)
            record_.fields.push_back({std::move(name), std::move(value)});
        else
            record_.problem = "has more than 4,096 keys or 1 MiB of text";
    }

    bool open(bool is_list) {
        saw_value();
        if (open_.size() == most_nesting) return fail("lists and objects in each other, over 64");
        if (open_.size() < base_ && !is_list) return fail("an object, expected a list of objects");
        if (open_.size() == base_ && is_list) record_.problem = "is no object";
        std::size_t field = none;
        if (open_.size() > base_ && open_.back().is_list) {
            extend(open_.back(), std::monostate{});
        } else if (is_list && is_kept()) {
            const std::size_t before = record_.fields.size();
            add(std::vector<double>());
            if (record_.fields.size() > before) field = before;
        }
        open_.push_back({is_list, {}, field});
        return true;
    }

    bool close() {
        saw_value();
        open_.pop_back();
        return open_.size() == base_ ? finish("") : true;
    }

    bool finish(const std::string& problem) {
        if (record_.problem.empty()) record_.problem = problem;
        if (source_ != nullptr) record_.line = source_->line;
        ++elements_;
        use_(record_);
        record_ = {};
        numbers_ = text_bytes_ = 0;
        return true;
    }

    std::size_t base_;
    std::size_t levels_;
    ByteSource* source_;
    Use use_;
    std::vector<Level> open_; ///< lists and objects that have begun
    JsonRecord record_;
    std::size_t numbers_ = 0;
    std::size_t text_bytes_ = 0;
    std::int64_t elements_ = 0;
    std::string failure_;
};

[[noreturn]] void fail_at(const ByteSource& source, const std::string& what) {
    throw core::DataError(fmt::format("{}:{}: {}", source.name, source.line, what));
}

} // namespace

void JsonRecord::check() const {
    if (!problem.empty()) throw BadLine("a value that " + problem, "the value " + problem);
}

const JsonField* JsonRecord::find(std::string_view key) const {
    const auto is_it = [&](const JsonField& field) { return field.key == key; };
    const auto found = std::find_if(fields.begin(), fields.end(), is_it);
    if (found == fields.end()) return nullptr;
    if (std::find_if(found + 1, fields.end(), is_it) != fields.end())
        throw BadLine("a key that is there twice",
                      fmt::format("key {} is there twice", shown(key)));
    return std::holds_alternative<std::monostate>(found->value) ? nullptr : &*found;
}

std::optional<double> JsonRecord::number(std::string_view key) const {
    const JsonField* const field = find(key);
    if (field == nullptr) return std::nullopt;
    const double* const value = std::get_if<double>(&field->value);
    if (value == nullptr)
        throw BadLine(fmt::format("{} is no number", core::printable(key)),
                      fmt::format("{} is no number", shown(key)));
    return *value;
}

std::optional<std::string> JsonRecord::text(std::string_view key) const {
    const JsonField* const field = find(key);
    if (field == nullptr) return std::nullopt;
    const auto* const value = std::get_if<std::string>(&field->value);
    return value == nullptr ? std::nullopt : std::optional(*value);
}

JsonEnd read_json_list(std::istream& input, const std::string& name, std::size_t levels,
                       const std::function<void(const JsonRecord&)>& use) {
    ByteSource source{*input.rdbuf(), name};
    RecordBuilder builder(1, levels, &source, use);
    if (nlohmann::json::sax_parse(ByteIterator(source), ByteIterator(), &builder))
        return JsonEnd::closed;
    const bool has_begun = builder.in_list() || builder.within_element();
    if (!source.at_end() || !has_begun) fail_at(source, builder.failure());
    return builder.within_element() ? JsonEnd::within_element : JsonEnd::between_elements;
}

JsonRecord read_json_object(std::istream& input, const std::string& name, std::size_t levels) {
    ByteSource source{*input.rdbuf(), name};
    JsonRecord object;
    RecordBuilder builder(0, levels, &source, [&](const JsonRecord& read) { object = read; });
    if (!nlohmann::json::sax_parse(ByteIterator(source), ByteIterator(), &builder))
        fail_at(source, source.at_end() ? "the file ends in the middle" : builder.failure());
    return object;
}

JsonRecord parse_json_object(std::string_view text, std::size_t levels) {
    JsonRecord object;
    RecordBuilder builder(0, levels, nullptr, [&](const JsonRecord& read) { object = read; });
    if (!nlohmann::json::sax_parse(text.begin(), text.end(), &builder))
        throw BadLine("no JSON object", fmt::format("no JSON object: {}", builder.failure()));
    return object;
}

} // namespace hdap::fleet

#include "hdap/network/safetensors.hpp"

#include "hdap/core/error.hpp"
#include "hdap/storage/sealed_file.hpp"
#include "tensor_check.hpp"

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <utility>

namespace hdap::network {
namespace {

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr std::size_t length_bytes = 8;
constexpr std::uint64_t max_header_bytes = 100'000'000;
constexpr std::uint64_t max_number = std::uint64_t{1} << 62U; // beyond any file, in 64 bits signed
constexpr const char* metadata_key = "__metadata__";

/// How the values of a tensor are stored.
struct Storage {
    std::string_view name;
    std::uint64_t bytes;
    bool is_float; ///< one that we convert
};

constexpr std::array<Storage, 13> storages{{{"F64", 8, true},
                                            {"F32", 4, true},
                                            {"F16", 2, true},
                                            {"BF16", 2, true},
                                            {"I64", 8, false},
                                            {"U64", 8, false},
                                            {"I32", 4, false},
                                            {"U32", 4, false},
                                            {"I16", 2, false},
                                            {"U16", 2, false},
                                            {"I8", 1, false},
                                            {"U8", 1, false},
                                            {"BOOL", 1, false}}};

const Storage* storage_named(std::string_view name) {
    const auto* const found = std::find_if(
        storages.begin(), storages.end(), [&](const Storage& known) { return known.name == name; });
    return found == storages.end() ? nullptr : found;
}

/// One tensor as the header describes it.
struct Entry {
    std::string name;
    std::optional<std::string> dtype;
    std::optional<std::vector<std::uint64_t>> shape;
    std::optional<std::vector<std::uint64_t>> offsets;
};

/// Takes the header's JSON piece by piece and refuses the first that is not where it belongs, so
/// that nothing is built of a hostile header but what a good one has.
class HeaderReader : public nlohmann::json_sax<nlohmann::json> {
  public:
    explicit HeaderReader(const std::string& file) : file_(file) {}

    [[nodiscard]] std::vector<Entry>& entries() { return entries_; }

    /// Of the metadata, those that tell a normalisation.
    [[nodiscard]] const std::map<std::string, std::string>& metadata() const { return metadata_; }

    bool start_object(std::size_t) override {
        if (place_ == Place::before) return go(Place::tensors);
        if (place_ != Place::tensor_value) refuse("an object");
        if (key_ == metadata_key) return go(Place::metadata);
        entries_.push_back({.name = key_, .dtype = {}, .shape = {}, .offsets = {}});
        return go(Place::fields);
    }

    bool end_object() override {
        if (place_ == Place::fields) check_complete(entries_.back());
        return go(place_ == Place::tensors ? Place::after : Place::tensors);
    }

    bool key(std::string& name) override {
        key_ = std::move(name);
        if (place_ == Place::tensors) {
            if (!names_.insert(key_).second) fail(fmt::format("tensor '{}' is there twice", key_));
            return go(Place::tensor_value);
        }
        return go(place_ == Place::fields ? Place::field_value : Place::metadata_value);
    }

    bool string(std::string& value) override {
        if (place_ == Place::metadata_value) {
            if (key_ == mean_key || key_ == deviation_key || key_ == order_key)
                metadata_[key_] = std::move(value);
            return go(Place::metadata);
        }
        if (place_ != Place::field_value || key_ != "dtype") refuse("a text");
        set(entries_.back().dtype, std::move(value));
        return go(Place::fields);
    }

    bool start_array(std::size_t) override {
        if (place_ != Place::field_value || (key_ != "shape" && key_ != "data_offsets"))
            refuse("a list");
        set(key_ == "shape" ? entries_.back().shape : entries_.back().offsets, {});
        return go(Place::numbers);
    }

    bool number_unsigned(std::uint64_t value) override {
        if (place_ != Place::numbers || value > max_number) refuse(std::to_string(value).c_str());
        (key_ == "shape" ? entries_.back().shape : entries_.back().offsets)->push_back(value);
        return true;
    }

    bool end_array() override { return go(Place::fields); }

    bool null() override { refuse("null"); }
    bool boolean(bool) override { refuse("a boolean"); }
    bool number_integer(std::int64_t value) override { refuse(std::to_string(value).c_str()); }
    bool number_float(double, const std::string& text) override {
        refuse(text.substr(0, 32).c_str());
    }
    bool binary(nlohmann::json::binary_t&) override { refuse("bytes"); }
    bool parse_error(std::size_t position, const std::string&,
                     const nlohmann::detail::exception&) override {
        fail("the header is not JSON: error at its byte " + std::to_string(position));
    }

  private:
    enum class Place {
        before,
        tensors,
        tensor_value,
        fields,
        field_value,
        numbers,
        metadata,
        metadata_value,
        after
    };

    [[noreturn]] void fail(const std::string& what) const {
        throw core::DataError(fmt::format("{}: not a safetensors file: {}", file_, what));
    }

    [[noreturn]] void refuse(const char* found) const {
        const std::string tensor =
            entries_.empty() ? "" : fmt::format(", tensor '{}'", entries_.back().name);
        fail(fmt::format("the header has {} where it does not belong{}{}", found, tensor,
                         key_.empty() ? "" : fmt::format(", key '{}'", key_)));
    }

    void check_complete(const Entry& entry) const {
        if (!entry.dtype || !entry.shape || !entry.offsets || entry.offsets->size() != 2)
            fail(fmt::format("tensor '{}' must have a dtype, a shape and two data_offsets",
                             entry.name));
    }

    template <class T>
    void set(std::optional<T>& field, T value) {
        if (field) fail(fmt::format("tensor '{}' has '{}' twice", entries_.back().name, key_));
        field = std::move(value);
    }

    bool go(Place place) {
        place_ = place;
        return true;
    }

    const std::string& file_;
    Place place_ = Place::before;
    std::string key_;
    std::set<std::string> names_;
    std::vector<Entry> entries_;
    std::map<std::string, std::string> metadata_;
};

float from_half(std::uint16_t half) {
    constexpr std::uint32_t exponent_shift = 127 - 15;
    const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000U) << 16U;
    const std::uint32_t exponent = (half >> 10U) & 0x1FU;
    const std::uint32_t fraction = half & 0x3FFU;
    if (exponent == 0) { // zero or subnormal: fraction · 2^-24
        const float value = static_cast<float>(fraction) * 0x1p-24F;
        return sign != 0 ? -value : value;
    }
    const std::uint32_t wide_exponent = exponent == 0x1FU ? 0xFFU : exponent + exponent_shift;
    return std::bit_cast<float>(sign | wide_exponent << 23U | fraction << 13U);
}

float from_brain_float(std::uint16_t half) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(half) << 16U);
}

/// `count` values of type Stored, each converted to float.
template <class Stored, class Convert>
std::vector<float> convert(std::span<const std::byte> bytes, const Convert& to_float) {
    std::vector<float> values(bytes.size() / sizeof(Stored));
    for (std::size_t i = 0; i < values.size(); ++i) {
        Stored stored;
        std::memcpy(&stored, bytes.data() + i * sizeof(Stored), sizeof(Stored));
        values[i] = to_float(stored);
    }
    return values;
}

std::vector<float> to_floats(const Storage& storage, std::span<const std::byte> bytes) {
    if (storage.name == "F64")
        return convert<double>(bytes, [](double value) { return static_cast<float>(value); });
    if (storage.name == "F16") return convert<std::uint16_t>(bytes, from_half);
    if (storage.name == "BF16") return convert<std::uint16_t>(bytes, from_brain_float);
    return convert<float>(bytes, [](float value) { return value; });
}

/// One file with what messages about it need.
class Reader {
  public:
    Reader(std::span<const std::byte> bytes, const std::string& name) : name_(name) {
        if (bytes.size() < length_bytes) fail(fmt::format("it has only {} bytes", bytes.size()));
        std::uint64_t length = 0;
        std::memcpy(&length, bytes.data(), length_bytes);
        if (length > max_header_bytes || length > bytes.size() - length_bytes)
            fail(fmt::format("its first 8 bytes say that the header has {} bytes; at most 100 MB "
                             "are allowed, and {} are there",
                             length, bytes.size() - length_bytes));
        header_ = bytes.subspan(length_bytes, length);
        data_ = bytes.subspan(length_bytes + length);
    }

    [[nodiscard]] std::optional<Normalisation> normalisation() const {
        const HeaderReader header = read_header();
        const auto text = [&](const char* key) {
            const auto found = header.metadata().find(key);
            return found == header.metadata().end() ? std::string() : found->second;
        };
        if (text(mean_key).empty() && text(deviation_key).empty()) return std::nullopt;
        return parse_normalisation(text(mean_key), text(deviation_key), text(order_key), name_);
    }

    [[nodiscard]] Weights read() const {
        HeaderReader header = read_header();
        std::vector<Entry>& entries = header.entries();
        for (const Entry& entry : entries)
            check(entry);
        check_cover(entries);
        Weights weights;
        for (Entry& entry : entries) {
            const Storage& storage = *storage_named(*entry.dtype);
            if (!storage.is_float) continue;
            const auto [first, last] = range(entry);
            weights.emplace(
                std::move(entry.name),
                Tensor{.shape = {entry.shape->begin(), entry.shape->end()},
                       .values = to_floats(storage, data_.subspan(first, last - first))});
        }
        return weights;
    }

  private:
    [[noreturn]] void fail(const std::string& what) const {
        throw core::DataError(fmt::format("{}: not a safetensors file: {}", name_, what));
    }

    [[nodiscard]] HeaderReader read_header() const {
        HeaderReader header(name_);
        const char* const text = reinterpret_cast<const char*>(header_.data());
        nlohmann::json::sax_parse(text, text + header_.size(), &header);
        return header;
    }

    static std::pair<std::uint64_t, std::uint64_t> range(const Entry& entry) {
        return {(*entry.offsets)[0], (*entry.offsets)[1]};
    }

    /// The offsets lie in the file and are as far apart as the shape says.
    void check(const Entry& entry) const {
        const std::string tensor = fmt::format("tensor '{}'", entry.name);
        const Storage* const storage = storage_named(*entry.dtype);
        if (storage == nullptr)
            throw core::DataError(fmt::format("{}: {} has the type '{}'; floats must be F64, F32, "
                                              "F16 or BF16: save it as one of these",
                                              name_, tensor, entry.dtype->substr(0, 32)));
        const auto [first, last] = range(entry);
        if (first > last || last > data_.size())
            fail(fmt::format("{} lies at bytes {} to {}, the file holds {}", tensor, first, last,
                             data_.size()));
        if (byte_count(*entry.shape, storage->bytes) != last - first)
            fail(fmt::format("{} of shape {} and type {} has {} bytes", tensor,
                             shape_text({entry.shape->begin(), entry.shape->end()}), *entry.dtype,
                             last - first));
    }

    /// What a tensor takes; nothing where that is more than the file has.
    [[nodiscard]] std::optional<std::uint64_t> byte_count(const std::vector<std::uint64_t>& shape,
                                                          std::uint64_t count) const {
        if (std::find(shape.begin(), shape.end(), 0U) != shape.end()) return 0;
        for (const std::uint64_t size : shape) {
            if (size > data_.size() / count) return std::nullopt;
            count *= size;
        }
        return count;
    }

    /// Tensors follow one another, in any order of their names, without overlaps and holes.
    void check_cover(const std::vector<Entry>& entries) const {
        std::vector<const Entry*> sorted;
        for (const Entry& entry : entries)
            sorted.push_back(&entry);
        std::sort(sorted.begin(), sorted.end(),
                  [](const Entry* a, const Entry* b) { return range(*a) < range(*b); });
        std::uint64_t end = 0;
        for (const Entry* entry : sorted) {
            const auto [first, last] = range(*entry);
            if (first != end)
                fail(fmt::format("tensor '{}' begins at byte {}, the one before it ends at {}",
                                 entry->name, first, end));
            end = last;
        }
        if (end != data_.size())
            fail(fmt::format("its tensors end at byte {}, the file holds {}", end, data_.size()));
    }

    std::span<const std::byte> header_;
    std::span<const std::byte> data_;
    const std::string& name_;
};

std::string header_text(const nlohmann::json& header) {
    try {
        return header.dump();
    } catch (const nlohmann::json::type_error& error) {
        throw core::DataError(std::string("a parameter's name cannot be stored in a safetensors "
                                          "file: ") +
                              error.what());
    }
}

} // namespace

Weights parse_safetensors(std::span<const std::byte> bytes, const std::string& name) {
    return Reader(bytes, name).read();
}

std::optional<Normalisation> safetensors_normalisation(std::span<const std::byte> bytes,
                                                       const std::string& name) {
    return Reader(bytes, name).normalisation();
}

std::vector<std::byte> safetensors_bytes(const Weights& weights,
                                         const std::optional<Normalisation>& normalisation) {
    nlohmann::json header = nlohmann::json::object(); // in the names' order, as `weights`
    if (normalisation)
        for (const auto& [key, text] : normalisation_entries(*normalisation))
            header[metadata_key][key] = text;
    std::size_t size = 0;
    for (const auto& [name, tensor] : weights) {
        check_filled(name, tensor);
        if (name == metadata_key)
            throw core::DataError(
                fmt::format("a parameter cannot be stored as '{}' in a safetensors file", name));
        const std::size_t end = size + tensor.values.size() * sizeof(float);
        header[name] = {{"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {size, end}}};
        size = end;
    }
    std::string text = header_text(header);
    text.resize((text.size() + 7) / 8 * 8, ' '); // so that the values are aligned in memory
    const std::uint64_t length = text.size();
    std::vector<std::byte> bytes(length_bytes + text.size() + size);
    std::byte* output = bytes.data();
    const auto append = [&output](const void* source, std::size_t count) {
        if (count > 0) std::memcpy(output, source, count);
        output += count;
    };
    append(&length, length_bytes);
    append(text.data(), text.size());
    for (const auto& [name, tensor] : weights)
        append(tensor.values.data(), tensor.values.size() * sizeof(float));
    return bytes;
}

void write_safetensors(const std::filesystem::path& path, const Weights& weights,
                       const std::optional<Normalisation>& normalisation) {
    storage::write_atomically(path, safetensors_bytes(weights, normalisation));
}

} // namespace hdap::network

#include "constant.hpp"

#include "hdap/core/error.hpp"
#include "network/tensor_check.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>

namespace hdap::network {
namespace {

namespace fs = std::filesystem;
using onnx::TensorProto;

/// Integers are sizes and places; weights of this many bytes would be something else.
constexpr std::size_t most_integers = std::size_t{1} << 16;

std::string type_name(int type) {
    return TensorProto::DataType_IsValid(type)
               ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(type))
               : std::to_string(type);
}

/// Bytes of an element in raw data; 0 for types that are not numbers.
std::size_t element_bytes(int type) {
    switch (type) {
    case TensorProto::BOOL:
    case TensorProto::INT8:
    case TensorProto::UINT8:
        return 1;
    case TensorProto::FLOAT16:
    case TensorProto::BFLOAT16:
    case TensorProto::INT16:
    case TensorProto::UINT16:
        return 2;
    case TensorProto::FLOAT:
    case TensorProto::INT32:
    case TensorProto::UINT32:
        return 4;
    case TensorProto::DOUBLE:
    case TensorProto::INT64:
    case TensorProto::UINT64:
        return 8;
    default:
        return 0;
    }
}

bool is_floating(int type) {
    return type == TensorProto::FLOAT || type == TensorProto::DOUBLE ||
           type == TensorProto::FLOAT16 || type == TensorProto::BFLOAT16;
}

float from_bfloat16(std::uint16_t bits) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16U);
}

/// IEEE 754 half precision: 1 sign bit, 5 of the exponent, 10 of the fraction.
float from_half(std::uint16_t bits) {
    const int exponent = (bits >> 10) & 0x1f;
    const int fraction = bits & 0x3ff;
    float magnitude = 0.0F;
    if (exponent == 0x1f)
        magnitude = fraction == 0 ? std::numeric_limits<float>::infinity()
                                  : std::numeric_limits<float>::quiet_NaN();
    else if (exponent == 0)
        magnitude = std::ldexp(static_cast<float>(fraction), -24);
    else
        magnitude = std::ldexp(static_cast<float>(fraction + 0x400), exponent - 25);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

/// Copies raw data, each element converted.
template <class Stored, class Element, class Convert>
std::vector<Element> convert_raw(const std::string& raw, std::size_t count, Convert convert) {
    std::vector<Element> result(count);
    for (std::size_t i = 0; i < count; ++i) {
        Stored stored;
        std::memcpy(&stored, raw.data() + i * sizeof(Stored), sizeof(Stored));
        result[i] = convert(stored);
    }
    return result;
}

std::vector<float> floats_from_raw(const std::string& raw, std::size_t count, int type) {
    const auto narrow = [](auto value) { return static_cast<float>(value); };
    switch (type) {
    case TensorProto::FLOAT:
        return convert_raw<float, float>(raw, count, narrow);
    case TensorProto::DOUBLE:
        return convert_raw<double, float>(raw, count, narrow);
    case TensorProto::FLOAT16:
        return convert_raw<std::uint16_t, float>(raw, count, from_half);
    default:
        return convert_raw<std::uint16_t, float>(raw, count, from_bfloat16);
    }
}

Integer from_unsigned(std::uint64_t value) {
    constexpr auto largest = static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    return {static_cast<std::int64_t>(std::min(value, largest))};
}

std::vector<Integer> integers_from_raw(const std::string& raw, std::size_t count, int type) {
    const auto widen = [](auto value) { return Integer{static_cast<std::int64_t>(value)}; };
    switch (type) {
    case TensorProto::INT8:
        return convert_raw<std::int8_t, Integer>(raw, count, widen);
    case TensorProto::BOOL:
    case TensorProto::UINT8:
        return convert_raw<std::uint8_t, Integer>(raw, count, widen);
    case TensorProto::INT16:
        return convert_raw<std::int16_t, Integer>(raw, count, widen);
    case TensorProto::UINT16:
        return convert_raw<std::uint16_t, Integer>(raw, count, widen);
    case TensorProto::INT32:
        return convert_raw<std::int32_t, Integer>(raw, count, widen);
    case TensorProto::UINT32:
        return convert_raw<std::uint32_t, Integer>(raw, count, widen);
    case TensorProto::INT64:
        return convert_raw<std::int64_t, Integer>(raw, count, widen);
    default:
        return convert_raw<std::uint64_t, Integer>(raw, count, from_unsigned);
    }
}

[[noreturn]] void fail_size(const TensorProto& tensor, std::size_t expected, std::size_t found,
                            const char* unit) {
    throw core::DataError(fmt::format(
        "tensor '{}' of shape {} must hold {} {}, holds {}; is the file damaged?", tensor.name(),
        shape_text({tensor.dims().begin(), tensor.dims().end()}), expected, unit, found));
}

/// The elements that are stored in a field of their own, not as raw data.
std::size_t field_size(const TensorProto& tensor) {
    switch (tensor.data_type()) {
    case TensorProto::FLOAT:
        return static_cast<std::size_t>(tensor.float_data_size());
    case TensorProto::DOUBLE:
        return static_cast<std::size_t>(tensor.double_data_size());
    case TensorProto::INT64:
        return static_cast<std::size_t>(tensor.int64_data_size());
    case TensorProto::UINT32:
    case TensorProto::UINT64:
        return static_cast<std::size_t>(tensor.uint64_data_size());
    default:
        return static_cast<std::size_t>(tensor.int32_data_size());
    }
}

/// Copies such a field, each element converted.
template <class Element, class Field, class Convert>
std::vector<Element> convert_field(const Field& field, Convert convert) {
    std::vector<Element> result(static_cast<std::size_t>(field.size()));
    std::transform(field.begin(), field.end(), result.begin(), convert);
    return result;
}

std::vector<float> floats_from_fields(const TensorProto& tensor) {
    const auto narrow = [](auto value) { return static_cast<float>(value); };
    switch (tensor.data_type()) {
    case TensorProto::FLOAT:
        return convert_field<float>(tensor.float_data(), narrow);
    case TensorProto::DOUBLE:
        return convert_field<float>(tensor.double_data(), narrow);
    default: // half precision is stored as its bits
        return convert_field<float>(tensor.int32_data(), [&tensor](std::int32_t value) {
            const auto bits = static_cast<std::uint16_t>(value);
            return tensor.data_type() == TensorProto::FLOAT16 ? from_half(bits)
                                                              : from_bfloat16(bits);
        });
    }
}

std::vector<Integer> integers_from_fields(const TensorProto& tensor) {
    const auto widen = [](auto value) { return Integer{static_cast<std::int64_t>(value)}; };
    switch (tensor.data_type()) {
    case TensorProto::INT64:
        return convert_field<Integer>(tensor.int64_data(), widen);
    case TensorProto::UINT32:
    case TensorProto::UINT64:
        return convert_field<Integer>(tensor.uint64_data(), from_unsigned);
    default:
        return convert_field<Integer>(tensor.int32_data(), widen);
    }
}

/// Where in which file the elements of a tensor are.
struct ExternalLocation {
    std::string file;
    std::size_t offset = 0;
    std::optional<std::size_t> length;
};

std::size_t parse_place(const TensorProto& tensor, const onnx::StringStringEntryProto& entry) {
    std::size_t number = 0;
    const char* const end = entry.value().data() + entry.value().size();
    const auto [rest, error] = std::from_chars(entry.value().data(), end, number);
    if (error != std::errc() || rest != end)
        throw core::DataError(
            fmt::format("tensor '{}': the {} of its external data is '{}', must be a number",
                        tensor.name(), entry.key(), entry.value()));
    return number;
}

ExternalLocation external_location(const TensorProto& tensor) {
    ExternalLocation location;
    for (const onnx::StringStringEntryProto& entry : tensor.external_data()) {
        if (entry.key() == "location") location.file = entry.value();
        if (entry.key() == "offset") location.offset = parse_place(tensor, entry);
        if (entry.key() == "length") location.length = parse_place(tensor, entry);
    }
    return location;
}

} // namespace

const std::vector<float>& Constant::floats() const {
    if (is_integer())
        throw core::DataError(fmt::format("tensor '{}' holds integers where weights are needed; "
                                          "import the network before it is quantised",
                                          name));
    return *std::get<0>(elements);
}

const std::vector<Integer>& Constant::integers() const {
    if (!is_integer())
        throw core::DataError(fmt::format(
            "tensor '{}' holds floating-point numbers where integers are needed", name));
    return *std::get<1>(elements);
}

void Constant::check_finite() const {
    check_values(name, shape.empty() ? 1 : shape.front(), floats());
}

std::vector<float> Constant::take_floats() && {
    (void)floats();
    const auto& shared = std::get<0>(elements);
    return shared.use_count() == 1 ? std::move(*shared) : *shared;
}

std::size_t Constant::size() const noexcept {
    return std::visit([](const auto& values) { return values->size(); }, elements);
}

Constant make_constant(std::string name, std::vector<std::int64_t> shape,
                       std::vector<float> elements) {
    return {std::move(name), std::move(shape),
            std::make_shared<std::vector<float>>(std::move(elements))};
}

Constant make_constant(std::string name, std::vector<std::int64_t> shape,
                       std::vector<Integer> elements) {
    return {std::move(name), std::move(shape),
            std::make_shared<std::vector<Integer>>(std::move(elements))};
}

std::int64_t element_count(const std::vector<std::int64_t>& shape) {
    constexpr std::int64_t most = std::int64_t{1} << 29;
    constexpr std::size_t most_dimensions = 16;
    if (shape.size() > most_dimensions)
        throw core::DataError(
            fmt::format("a shape has {} dimensions, at most 16 are supported", shape.size()));
    std::int64_t count = 1; // as if sizes of 0 were 1, so that no stride can overflow, either
    bool empty = false;
    for (const std::int64_t size : shape) {
        if (size < 0)
            throw core::DataError(
                fmt::format("the shape {} has a negative size", shape_text(shape)));
        empty = empty || size == 0;
        if (size > 0 && count > most / size)
            throw core::DataError(
                fmt::format("the shape {} has more elements than the 2^29 that are supported",
                            shape_text(shape)));
        count *= std::max<std::int64_t>(size, 1);
    }
    return empty ? 0 : count;
}

MemoryBudget::MemoryBudget(std::size_t file_bytes) : left_(std::size_t{1} << 22) {
    add_file_bytes(file_bytes);
}

void MemoryBudget::add_file_bytes(std::size_t bytes) {
    // Half precision doubles; a transposed matrix and the copy that the network keeps come on top;
    // some detectors share the layers of a head among five scales.
    constexpr std::size_t multiple = 16;
    left_ += multiple * bytes;
}

void MemoryBudget::take(std::int64_t elements, std::size_t bytes_each) {
    const std::size_t bytes = static_cast<std::size_t>(elements) * bytes_each;
    if (bytes > left_)
        throw core::DataError("the network would take far more memory than its file; tensors are "
                              "shared or expanded too often");
    left_ -= bytes;
}

TensorReader::TensorReader(std::filesystem::path folder, MemoryBudget& budget)
    : folder_(std::move(folder)), budget_(budget) {}

std::string TensorReader::read_external(const TensorProto& tensor, std::size_t bytes) {
    const std::string who = fmt::format("tensor '{}': its external data ", tensor.name());
    const ExternalLocation location = external_location(tensor);
    if (folder_.empty()) throw core::DataError(who + "cannot be read, as the model is not a file");
    std::error_code error;
    const fs::path base = fs::canonical(folder_, error);
    const fs::path path = fs::canonical(folder_ / location.file, error);
    if (error || !fs::is_regular_file(path, error))
        throw core::DataError(
            fmt::format("{}are in '{}', which is not a file beside the model", who, location.file));
    // A hostile model must not make us read, and give away in a network, any file of the user's.
    if (fs::path(location.file).is_absolute() ||
        std::mismatch(base.begin(), base.end(), path.begin(), path.end()).first != base.end())
        throw core::DataError(
            fmt::format("{}are in '{}', outside the folder of the model", who, location.file));
    const std::size_t size = fs::file_size(path, error);
    if (external_files_.insert(path).second) budget_.add_file_bytes(size);
    if (location.length.value_or(bytes) != bytes)
        fail_size(tensor, bytes, *location.length, "bytes");
    if (location.offset > size || size - location.offset < bytes)
        throw core::DataError(fmt::format("{}end at byte {} + {} of '{}', which has only {}", who,
                                          location.offset, bytes, location.file, size));
    budget_.take(static_cast<std::int64_t>(bytes), 1);
    std::string data(bytes, '\0');
    std::ifstream stream(path, std::ios::binary);
    stream.seekg(static_cast<std::streamoff>(location.offset));
    if (!stream.read(data.data(), static_cast<std::streamsize>(bytes)))
        throw core::DataError(fmt::format("{}cannot be read from '{}'", who, location.file));
    return data;
}

Constant TensorReader::read(const TensorProto& tensor) {
    std::vector<std::int64_t> shape(tensor.dims().begin(), tensor.dims().end());
    std::int64_t count = 0;
    try {
        count = element_count(shape);
    } catch (const core::DataError& failure) {
        throw core::DataError(fmt::format("tensor '{}': {}", tensor.name(), failure.what()));
    }
    const auto size = static_cast<std::size_t>(count);
    const int type = tensor.data_type();
    if (element_bytes(type) == 0 || tensor.has_segment())
        throw core::DataError(fmt::format(
            "tensor '{}' is of type {}{}, which is not supported; store it as FLOAT", tensor.name(),
            type_name(type), tensor.has_segment() ? " in segments" : ""));
    const bool integer = !is_floating(type);
    if (integer && size > most_integers)
        throw core::DataError(
            fmt::format("tensor '{}' holds {} integers; import the network before it is quantised",
                        tensor.name(), size));
    const std::size_t bytes = size * element_bytes(type);
    const bool external = tensor.data_location() == TensorProto::EXTERNAL;
    const std::string loaded = external ? read_external(tensor, bytes) : "";
    const std::string& raw = external ? loaded : tensor.raw_data();
    const bool is_raw = external || tensor.has_raw_data();
    // Before anything of that size is allocated.
    if (is_raw && raw.size() != bytes) fail_size(tensor, bytes, raw.size(), "bytes");
    if (!is_raw && field_size(tensor) != size)
        fail_size(tensor, size, field_size(tensor), "elements");
    budget_.take(count, integer ? sizeof(Integer) : sizeof(float));
    if (integer)
        return make_constant(tensor.name(), std::move(shape),
                             is_raw ? integers_from_raw(raw, size, type)
                                    : integers_from_fields(tensor));
    return make_constant(tensor.name(), std::move(shape),
                         is_raw ? floats_from_raw(raw, size, type) : floats_from_fields(tensor));
}

} // namespace hdap::network

#include "exif.hpp"

#include <cstddef>
#include <optional>

namespace hdap::accuracy {
namespace {

using Bytes = std::span<const std::uint8_t>;

/// Numbers at places of a TIFF file, in its order of bytes; nothing beyond its end.
class Tiff {
  public:
    explicit Tiff(Bytes bytes) : bytes_(bytes), big_endian_(!bytes.empty() && bytes[0] == 'M') {}

    [[nodiscard]] std::optional<std::size_t> number(std::size_t at, std::size_t size) const {
        if (at > bytes_.size() || size > bytes_.size() - at) return std::nullopt;
        std::size_t value = 0;
        for (std::size_t i = 0; i < size; ++i)
            value = (value << 8U) | bytes_[at + (big_endian_ ? i : size - 1 - i)];
        return value;
    }

  private:
    Bytes bytes_;
    bool big_endian_;
};

} // namespace

int exif_orientation(Bytes bytes) {
    constexpr std::size_t magic = 42;
    constexpr std::size_t orientation = 0x0112;
    constexpr std::size_t short_type = 3;
    constexpr std::size_t entry_bytes = 12; // tag, type, count, value
    const Tiff tiff(bytes);
    if (tiff.number(2, 2) != magic) return 1;
    const auto directory = tiff.number(4, 4);
    const auto entries = directory ? tiff.number(*directory, 2) : std::nullopt;
    for (std::size_t i = 0; i < entries.value_or(0); ++i) {
        const std::size_t entry = *directory + 2 + entry_bytes * i;
        if (tiff.number(entry, 2) != orientation) continue;
        const auto value = tiff.number(entry + 8, 2);
        const bool valid = tiff.number(entry + 2, 2) == short_type && value && *value >= 1;
        return valid && *value <= 8 ? static_cast<int>(*value) : 1;
    }
    return 1;
}

} // namespace hdap::accuracy

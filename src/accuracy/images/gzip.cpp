#include "gzip.hpp"

#include "hdap/core/error.hpp"

#include <fmt/core.h>
#include <zlib.h>

#include <new>

namespace hdap::accuracy {
namespace {

/// Owns zlib's state for gzip files.
class Inflater {
  public:
    Inflater() {
        constexpr int gzip_alone = 16 + MAX_WBITS;
        if (::inflateInit2(&stream_, gzip_alone) != Z_OK) throw std::bad_alloc();
    }
    ~Inflater() { ::inflateEnd(&stream_); }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    [[nodiscard]] z_stream& stream() noexcept { return stream_; }

  private:
    z_stream stream_{};
};

} // namespace

bool is_gzip(std::span<const std::uint8_t> file) noexcept {
    return file.size() >= 2 && file[0] == 0x1f && file[1] == 0x8b;
}

std::vector<std::uint8_t> gunzip(std::span<const std::uint8_t> file, std::size_t most_bytes) {
    Inflater inflater;
    z_stream& stream = inflater.stream();
    stream.next_in = const_cast<Bytef*>(file.data()); // zlib's interface is older than const
    stream.avail_in = static_cast<uInt>(file.size());
    std::vector<std::uint8_t> content;
    std::vector<std::uint8_t> piece(std::size_t{1} << 16);
    for (int state = Z_OK; state != Z_STREAM_END;) {
        stream.next_out = piece.data();
        stream.avail_out = static_cast<uInt>(piece.size());
        state = ::inflate(&stream, Z_NO_FLUSH);
        if (state == Z_MEM_ERROR) throw std::bad_alloc();
        if (state == Z_BUF_ERROR) throw core::DataError("is gzipped, and truncated");
        if (state != Z_OK && state != Z_STREAM_END)
            throw core::DataError("is gzipped, and damaged");
        content.insert(content.end(), piece.data(), stream.next_out);
        if (content.size() > most_bytes)
            throw core::DataError(
                fmt::format("is gzipped, and holds more than {} bytes", most_bytes));
    }
    return content;
}

} // namespace hdap::accuracy

#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <streambuf>
#include <string_view>
#include <vector>

namespace hdap::fleet {

/// Reads another buffer in blocks, tells how far it is, and shows the beginning before anything is
/// read, of pipes, too.
class BlockBuffer final : public std::streambuf {
  public:
    /// `observer` gets the number of bytes after each block; `source` must outlive this.
    explicit BlockBuffer(std::streambuf& source, std::function<void(std::int64_t)> observer = {})
        : source_(source), observer_(std::move(observer)), block_(block_bytes) {}

    /// The first block, or what there is of it; to be asked before anything is read.
    std::string_view beginning();

  protected:
    int_type underflow() override;

  private:
    static constexpr std::size_t block_bytes = std::size_t{1} << 18U;

    std::streambuf& source_;
    std::function<void(std::int64_t)> observer_;
    std::vector<char> block_;
    std::int64_t bytes_ = 0;
};

} // namespace hdap::fleet

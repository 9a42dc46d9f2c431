#include "fleet/telemetry/block_buffer.hpp"

namespace hdap::fleet {

std::string_view BlockBuffer::beginning() {
    if (gptr() == egptr()) underflow();
    return {gptr(), egptr()};
}

BlockBuffer::int_type BlockBuffer::underflow() {
    if (gptr() < egptr()) return traits_type::to_int_type(*gptr());
    const std::streamsize read =
        source_.sgetn(block_.data(), static_cast<std::streamsize>(block_.size()));
    setg(block_.data(), block_.data(), block_.data() + read);
    bytes_ += read;
    if (observer_) observer_(bytes_);
    return read == 0 ? traits_type::eof() : traits_type::to_int_type(block_.front());
}

} // namespace hdap::fleet

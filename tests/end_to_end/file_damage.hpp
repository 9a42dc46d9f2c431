#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <stdexcept>

namespace hdap::test {

/// Inverts the byte that lies at `share` of a file's length.
inline void flip_byte(const std::filesystem::path& file, double share) {
    const auto at = static_cast<std::streamoff>(
        share * static_cast<double>(std::filesystem::file_size(file) - 1));
    std::fstream stream(file, std::ios::binary | std::ios::in | std::ios::out);
    stream.seekg(at);
    const int byte = stream.get();
    stream.seekp(at);
    stream.put(static_cast<char>(~byte));
    if (!stream) throw std::runtime_error("cannot damage " + file.string());
}

} // namespace hdap::test

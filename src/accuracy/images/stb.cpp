// The code of the libraries stb_image and stb_image_resize, which come as headers.
#include <cstdlib>

namespace {

/// stb_image takes memory for what a file claims, and goes on while compressed data goes on. The
/// largest image that we decode needs less than this at once.
constexpr std::size_t largest_block = std::size_t{1} << 28;

/// Zeros, as stb_image reads parts of tables and planes that a damaged file never filled.
void* allocate(std::size_t bytes) {
    return bytes <= largest_block ? std::calloc(bytes, 1) : nullptr;
}

void* reallocate(void* block, std::size_t bytes) {
    return bytes <= largest_block ? std::realloc(block, bytes) : nullptr;
}

} // namespace

#define STBI_MALLOC(bytes) allocate(bytes)
#define STBI_REALLOC(block, bytes) reallocate(block, bytes)
#define STBI_FREE(block) std::free(block)
// Input must not end the program, and unexpected input is found by other means.
#define STBI_ASSERT(condition) ((void)0)
#define STBI_ONLY_JPEG
#define STBI_ONLY_PNG
#define STBI_NO_STDIO
#define STB_IMAGE_IMPLEMENTATION
#include <stb/stb_image.h>

#define STBIR_ASSERT(condition) ((void)0)
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#include <stb/stb_image_resize.h>

#if defined(__x86_64__)
#define HDAP_VECTOR_BYTES 64
#define HDAP_ROWS 4
#define HDAP_COLUMNS 6
#include "filter_products_body.hpp"

const FilterProducts& avx512_filter_products() {
    return products;
}

} // namespace hdap::network
#endif

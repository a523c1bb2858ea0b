import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashMap;
import java.util.Map;
import org.apache.iceberg.CatalogProperties;
import org.apache.iceberg.catalog.CatalogTests;
import org.apache.iceberg.catalog.Namespace;
import org.apache.iceberg.catalog.TableIdentifier;
import org.apache.iceberg.rest.RESTCatalog;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Iceberg's own behaviour tests of catalogs, on a running Headwater. */
public class HeadwaterCatalogTests extends CatalogTests<RESTCatalog> {
  private RESTCatalog catalog;

  static RESTCatalog connect(String name, Map<String, String> more) {
    Map<String, String> properties = new HashMap<>();
    properties.put(CatalogProperties.URI, System.getenv("HEADWATER_ICEBERG"));
    properties.put(CatalogProperties.FILE_IO_IMPL, "org.apache.iceberg.aws.s3.S3FileIO");
    properties.put("header.X-Iceberg-Access-Delegation", "vended-credentials");
    properties.put(CatalogProperties.TABLE_DEFAULT_PREFIX + "default-key1", "catalog-default-key1");
    properties.put(CatalogProperties.TABLE_DEFAULT_PREFIX + "default-key2", "catalog-default-key2");
    properties.put(CatalogProperties.TABLE_DEFAULT_PREFIX + "override-key3", "catalog-default-key3");
    properties.put(CatalogProperties.TABLE_OVERRIDE_PREFIX + "override-key3", "catalog-override-key3");
    properties.put(CatalogProperties.TABLE_OVERRIDE_PREFIX + "override-key4", "catalog-override-key4");
    properties.put("view-default.key1", "catalog-default-key1");
    properties.put("view-default.key2", "catalog-default-key2");
    properties.put("view-default.key3", "catalog-default-key3");
    properties.put("view-override.key3", "catalog-override-key3");
    properties.put("view-override.key4", "catalog-override-key4");
    properties.putAll(more);
    RESTCatalog catalog = new RESTCatalog();
    catalog.initialize(name, properties);
    return catalog;
  }

  /** Removes all that a test left, the deepest namespaces first. */
  static void clear(RESTCatalog catalog, Namespace below) {
    for (Namespace one : below.isEmpty() ? catalog.listNamespaces() : catalog.listNamespaces(below)) {
      if (one.level(0).equals("lab")) {
        continue;
      }
      try {
        clear(catalog, one);
        catalog.listTables(one).forEach(table -> catalog.dropTable(table, false));
        catalog.listViews(one).forEach(catalog::dropView);
        catalog.dropNamespace(one);
      } catch (org.apache.iceberg.exceptions.NoSuchNamespaceException gone) {
        // A parent that only exists through its children.
      }
    }
  }

  @BeforeEach
  void before() {
    catalog = connect("headwater", Map.of());
    clear(catalog, Namespace.empty());
  }

  @AfterEach
  void after() throws Exception {
    catalog.close();
  }

  @Override
  protected RESTCatalog catalog() {
    return catalog;
  }

  @Override
  protected RESTCatalog initCatalog(String name, Map<String, String> properties) {
    return connect(name, properties);
  }

  /** Asks for a folder of the client's machine, which is refused. */
  @Override
  @Test
  public void testCompleteReplaceTransaction() {
    assertThatThrownBy(super::testCompleteReplaceTransaction).hasMessageContaining("file:/");
  }

  @Override
  @Test
  public void testCompleteCreateOrReplaceTransactionReplace() {
    assertThatThrownBy(super::testCompleteCreateOrReplaceTransactionReplace).hasMessageContaining("file:/");
  }

  @Override
  protected boolean supportsNestedNamespaces() {
    return true;
  }

  @Override
  protected boolean requiresNamespaceCreate() {
    return true;
  }

  @Override
  protected boolean supportsServerSideRetry() {
    return true;
  }

  @Override
  protected boolean overridesRequestedLocation() {
    return true;
  }

  @Override
  protected boolean supportsNamesWithDot() {
    return true;
  }

  @Override
  protected boolean supportsNamesWithSlashes() {
    return true;
  }
}

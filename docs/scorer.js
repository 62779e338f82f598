// The order of search results (html_search_scorer in conf.py): words of the query in a title count, and only whole ones.
// Sphinx gives a page that has "generate" in its title for "rate", and all pages that hold the words of a query alike.
// An item is [page, title, anchor, description, score, file, kind]. It is changed in place: a page found by its text
// leads to the section that the query names; and what leads to the same place gets the same title, so Sphinx shows it once.
const TitleSearch = {
  weight: { page: 60, section: 50, name: 45, text: 5 },
  words: (text) => (text.replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase().match(/[\p{L}\p{N}]+/gu) || []).map((w) => w.replace(/(?<=[^s]{2})s$/, "")),

  // 1: the title is the query; 0: it has no word of it
  match(title) {
    const words = TitleSearch.words(title), { query } = TitleSearch;
    const found = query.filter((q) => words.includes(q)).length / query.length;
    return (found ** 2 * (1 + Math.min(1, query.length / words.length))) / 2 || 0;
  },

  // what the index says of each page: its number, its title and sections; and where each function is
  read(index) {
    TitleSearch.query = TitleSearch.words(new URLSearchParams(location.search).get("q") || "");
    TitleSearch.titles = index.docnames.map((page, i) => [{ title: index.titles[i], id: null }]);
    for (const [title, places] of Object.entries(index.alltitles))
      for (const [page, id] of places) if (id) TitleSearch.titles[page].push({ title, id });
    TitleSearch.names = new Map();
    for (const [module, found] of Object.entries(index.objects))
      for (const [page, type, , anchor, name] of found)
        TitleSearch.names.set(`${index.docnames[page]}#${anchor}`, [`${module}.${name}`, `${index.objnames[type][2]}, in ${index.titles[page]}`]);
  },

  score(item) {
    const index = Search._index, page = index.docnames.indexOf(item[0]), { weight, match, names } = TitleSearch;
    if (item[6] === SearchResultKind.text) {
      const [best] = [...TitleSearch.titles[page]].sort((a, b) => match(b.title) - match(a.title));
      if (best.id && match(best.title) > match(index.titles[page])) {
        item[1] = `${index.titles[page]} > ${best.title}`;
        item[2] = `#${best.id}`;
      }
    }
    const name = names.get(item[0] + item[2]);
    if (name) [item[1], item[3]] = name;
    const kind = name ? "name" : item[2] ? "section" : "page";
    return weight.text + weight[kind] * match(item[1].split(name ? "." : " > ").pop());
  },
};

var Scorer = {
  objNameMatch: 11, objPartialMatch: 6, objPrio: { 0: 15, 1: 5, 2: -5 }, objPrioDefault: 0,
  title: 15, partialTitle: 7, term: 5, partialTerm: 2,
  score(item) {
    if (!TitleSearch.query) TitleSearch.read(Search._index);
    return TitleSearch.score(item);
  },
};

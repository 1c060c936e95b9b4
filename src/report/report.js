(function () {
  var rows = Array.prototype.slice.call(document.querySelectorAll('tr.r'));
  var host = document.getElementById('host'), status = document.getElementById('status'), text = document.getElementById('text');
  var count = document.getElementById('count');
  function apply() {
    var shown = 0, needle = text.value.toLowerCase();
    rows.forEach(function (row) {
      var fits = (!host.value || row.dataset.host === host.value)
        && (!status.value || row.dataset.status === status.value)
        && (!needle || row.textContent.toLowerCase().indexOf(needle) >= 0);
      row.hidden = !fits;
      if (fits) { shown += 1; }
    });
    count.textContent = shown + ' of ' + rows.length + ' results';
  }
  [host, status, text].forEach(function (e) { e.addEventListener('input', apply); });
  apply();
})();

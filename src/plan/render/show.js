(function () {
  'use strict';
  var byId = function (id) { return document.getElementById(id); };
  var steps = Array.prototype.slice.call(document.querySelectorAll('.step')).map(function (element) {
    return { element: element, groups: Array.prototype.slice.call(element.querySelectorAll('.group')), text: null };
  });
  var host = byId('host'), risk = byId('risk'), role = byId('role'), state = byId('state'), text = byId('text');
  var known = new Map();

  // n[01-03,7] stands for four hosts; a text that is no set is a name.
  function unfold(set) {
    var found = known.get(set);
    if (found) { return found; }
    found = [];
    var parts = /^([^\[]*)\[([0-9,\-]+)\]([^\[]*)$/.exec(set);
    if (!parts) { found.push(set); } else {
      parts[2].split(',').forEach(function (range) {
        var ends = range.split('-'), from = ends[0], to = ends.length > 1 ? ends[1] : from;
        var width = from.charAt(0) === '0' ? from.length : 0;
        for (var n = Number(from); n <= Number(to) && found.length < 1000000; n += 1) {
          found.push(parts[1] + String(n).padStart(width, '0') + parts[3]);
        }
      });
    }
    known.set(set, found);
    return found;
  }
  // Commas in brackets belong to their set.
  function split(list) {
    return list.split(/,(?![^\[]*\])/).map(function (part) { return part.trim(); }).filter(Boolean);
  }
  function glob(pattern) {
    return new RegExp('^' + pattern.replace(/[.+^${}()|\\\[\]]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.') + '$');
  }
  var everybody = new Set();
  document.querySelectorAll('[data-hosts]').forEach(function (element) {
    split(element.dataset.hosts).forEach(function (set) { unfold(set).forEach(function (name) { everybody.add(name); }); });
  });
  var offered = byId('hosts'), names = 0;
  everybody.forEach(function (name) {
    if (names < 500) { var option = document.createElement('option'); option.value = name; offered.appendChild(option); }
    names += 1;
  });

  // Returns a test of one name, or nothing when every host is wanted. What is no host's name matches parts of names.
  function wanted(typed) {
    var tests = [], without = [];
    split(typed).forEach(function (part) {
      var list = tests;
      if (part.charAt(0) === '!') { part = part.slice(1); list = without; }
      if (!part) { return; }
      if (/[*?]/.test(part)) { var pattern = glob(part); list.push(function (name) { return pattern.test(name); }); return; }
      if (part.indexOf('[') >= 0) { var set = new Set(unfold(part)); list.push(function (name) { return set.has(name); }); return; }
      list.push(everybody.has(part) ? function (name) { return name === part; } : function (name) { return name.indexOf(part) >= 0; });
    });
    if (!tests.length && !without.length) { return null; }
    var any = function (list, name) { return list.some(function (test) { return test(name); }); };
    return function (name) { return (!tests.length || any(tests, name)) && !any(without, name); };
  }

  function apply() {
    var fits = wanted(host.value), needle = text.value.toLowerCase(), shown = 0, answers = new Map();
    function has(list) {
      if (!fits) { return true; }
      if (!answers.has(list)) { answers.set(list, split(list).some(function (set) { return unfold(set).some(fits); })); }
      return answers.get(list);
    }
    steps.forEach(function (step) {
      var data = step.element.dataset, visible = (!risk.value || data.risk === risk.value) && (!role.value || data.role === role.value);
      if (visible && needle) {
        if (step.text === null) { step.text = step.element.textContent.toLowerCase(); }
        visible = step.text.indexOf(needle) >= 0;
      }
      var groups = 0;
      step.groups.forEach(function (group) {
        var states = group.dataset.states.split(' ');
        var fitting = has(group.dataset.hosts) && (state.value === 'all' || states.indexOf(state.value) >= 0);
        group.hidden = !fitting;
        if (fitting) { groups += 1; }
      });
      step.element.hidden = !visible || groups === 0;
      if (!step.element.hidden) { shown += 1; }
    });
    document.querySelectorAll('.play').forEach(function (play) { play.hidden = !play.querySelector('.step:not([hidden])'); });
    byId('count').textContent = shown + ' of ' + steps.length + ' steps';
    byId('none').hidden = shown > 0;
  }
  [host, risk, role, state, text].forEach(function (input) { input.addEventListener('input', apply); });
  byId('reset').addEventListener('click', function () { host.value = risk.value = role.value = text.value = ''; state.value = 'news'; apply(); });
  byId('fold').addEventListener('click', function () {
    var groups = document.querySelectorAll('.step:not([hidden]) .group:not([hidden])');
    var open = !Array.prototype.some.call(groups, function (group) { return group.open; });
    groups.forEach(function (group) { group.open = open; });
  });
  // Paper cannot be unfolded.
  window.addEventListener('beforeprint', function () {
    document.querySelectorAll('.step:not([hidden]) .group:not([hidden])').forEach(function (group) { group.open = true; });
  });
  document.querySelector('.filters').hidden = false;
  apply();
})();
